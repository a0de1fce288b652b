"""JSON Schema → languages of strings, as byte DFAs. No vocabulary."""
