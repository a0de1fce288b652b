from constrain.automata.regex import compile_pattern
def format_language(n):
    return {'date':compile_pattern(r'[0-9]{4}-[0-9]{2}-[0-9]{2}')}.get(n)
