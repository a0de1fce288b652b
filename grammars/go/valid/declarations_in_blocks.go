package p

func f() {
	const a = 1
	var b int
	type T[P any] []P
	{
		type (U int; V = U) }
	if x { var y int }
}
