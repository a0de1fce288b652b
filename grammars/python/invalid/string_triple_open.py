x = """abc"
