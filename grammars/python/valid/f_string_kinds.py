f'{a}{b!r}{c:>{w}.{p}}{d!s:x}'
f'{{{a}}}'
f"{d['k']}{f'{x}'}"
f'{a = !r:^20}'
f'''{
  a
}'''
rf'\{a}\n' f'{a,}' F'{yield}' f'{*a, *b}'
f'{ {1: 2}[1] }{(lambda x: x)(1)}{a if b else c}'
