UPDATE OR ROLLBACK stock INDEXED BY i SET n = n - sold.n, (a, b) = (1, 2)
FROM (SELECT 1 AS n) AS sold WHERE stock.id = ?1 RETURNING n ORDER BY id LIMIT 1
