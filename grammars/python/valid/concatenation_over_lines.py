x = ('a'  # one
     'b'
     f'{c}')
