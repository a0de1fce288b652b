WITH RECURSIVE numbers(n) AS (
    VALUES (1)
    UNION ALL
    SELECT n + 1 FROM numbers LIMIT 100
), squares AS NOT MATERIALIZED (SELECT n, n * n AS square FROM numbers)
SELECT * FROM squares;
