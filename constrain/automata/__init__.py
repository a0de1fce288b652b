"""`Grammar` → tables: byte DFAs, lexer states, the LR automaton. No vocabulary."""
