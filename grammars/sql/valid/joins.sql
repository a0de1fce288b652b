SELECT a.*, b.x
FROM a
NATURAL LEFT OUTER JOIN b
CROSS JOIN main.c INDEXED BY c_x
FULL JOIN (d, e AS f) USING (id, kind)
JOIN json_each(a.list) AS j ON j.value = b.x,
(SELECT 1) AS one;
