"""The only place where torch and transformers meet the rest."""
