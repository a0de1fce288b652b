package p

var f func[P any]()
