x = f"{a!r:>{width}} {{}} {b = } {f'{c}'}"
y = f'''{
    a, *b
}'''
