if x:
        y
\tz
