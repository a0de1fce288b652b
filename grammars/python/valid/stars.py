*a, b
x = *a,
print(*a, *b)
x = *a
return *a,
