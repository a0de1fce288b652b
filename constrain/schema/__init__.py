"""JSON Schema: documents → value languages → a pushdown automaton over shared terminals."""
