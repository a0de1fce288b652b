match command.split():
    case ["go", direction] | {"to": direction, **rest} if direction:
        pass
    case Point(x=0, y=-1.5) | _:
        pass
