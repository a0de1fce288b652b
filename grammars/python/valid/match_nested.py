match a:
    case b:
        match c:
            case d:
                pass
    case e: pass
f
