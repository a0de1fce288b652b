-- first
/* a */SELECT/**/1--2
; -- behind
/* left open