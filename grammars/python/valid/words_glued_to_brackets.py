if(a):b
for(a)in[b]:c
while(a):b
not(a)
x = (a)if(b)else(c)
y = 'a'if'b'else'c'
return(a)
print(a)or(b)
lambda*a:0
