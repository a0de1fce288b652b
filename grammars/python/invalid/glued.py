a if b elsec
