"""The languages of JSON Schema's keywords, as byte DFAs. No vocabulary."""
