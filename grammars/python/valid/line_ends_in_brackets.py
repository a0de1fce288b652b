x = [
1,
    # comment

  2,
]
f(
)
x[
0
]
y = {
'a':
1}
(
a
.b
+ c)
