SELECT CASE x WHEN 1 THEN 'one' ELSE CAST(x AS VARCHAR(10)) END,
       x NOT BETWEEN 1 AND 2 AND y IS NOT DISTINCT FROM z,
       (a, b) IN (SELECT c, d FROM e), NOT EXISTS (SELECT 1),
       data -> '$.a' ->> 0 || x'00ff' || 0x1F, ~ - + 1, x ISNULL, y NOT NULL
