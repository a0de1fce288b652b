SELECT abort, before, by, cast(a AS x), do, fail, first, key, like(1, 2), no, plan, query, temp FROM view, trigger ORDER BY desc desc
