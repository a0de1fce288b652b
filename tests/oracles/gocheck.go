// The Go side of tests/oracles/go.py: says which texts go/parser accepts as whole files.
//
// Standard input is a sequence of requests: a byte of the kind, a length (uint32, little
// endian), the text. To each there is one answer on standard output:
//
//	'c'  check: one byte, '1' where `gofmt -e FILE` finds no error, else '0'
//	't'  tokens: their number (uint32), then for each its offset (uint32), its length
//	     in the text (uint32; 0 for an automatic semicolon) and the length of its kind's
//	     name (a byte) with the name, as go/scanner reports them, comments left out
package main

import (
	"bufio"
	"encoding/binary"
	"go/parser"
	"go/scanner"
	"go/token"
	"io"
	"os"
)

// The mode of gofmt -e.
const mode = parser.ParseComments | parser.SkipObjectResolution | parser.AllErrors

func check(text []byte) byte {
	if _, err := parser.ParseFile(token.NewFileSet(), "file.go", text, mode); err != nil {
		return '0'
	}
	return '1'
}

func tokens(text []byte, out *bufio.Writer) {
	files := token.NewFileSet()
	file := files.AddFile("file.go", files.Base(), len(text))
	var s scanner.Scanner
	s.Init(file, text, func(token.Position, string) {}, 0)
	var found []byte
	count := uint32(0)
	for {
		pos, kind, lit := s.Scan()
		if kind == token.EOF {
			break
		}
		length := len(lit)
		switch {
		case kind == token.SEMICOLON && lit != ";":
			length = 0
		case lit == "":
			length = len(kind.String())
		}
		found = binary.LittleEndian.AppendUint32(found, uint32(file.Offset(pos)))
		found = binary.LittleEndian.AppendUint32(found, uint32(length))
		found = append(found, byte(len(kind.String())))
		found = append(found, kind.String()...)
		count++
	}
	binary.Write(out, binary.LittleEndian, count)
	out.Write(found)
}

func main() {
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for {
		kind, err := in.ReadByte()
		if err != nil {
			return
		}
		var length uint32
		if binary.Read(in, binary.LittleEndian, &length) != nil {
			return
		}
		text := make([]byte, length)
		if _, err := io.ReadFull(in, text); err != nil {
			return
		}
		switch kind {
		case 'c':
			out.WriteByte(check(text))
		case 't':
			tokens(text, out)
		}
		if in.Buffered() == 0 {
			out.Flush()
		}
	}
}
