SELECT "a""b", [c d], `e``f`, 'it''s', left.key, replace(rows, 1, 2), été, x$1
FROM temp AS "first", row over, window
