package main

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"sort"
)

// A source is a Go file that is being changed.
type source struct {
	name  string
	text  []byte
	set   *token.FileSet
	file  *ast.File
	edits []edit
}

// An edit replaces a part of the text.
type edit struct {
	start, end int
	text       string
}

func parse(name string, text []byte) (*source, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.ParseComments)
	return &source{name: name, text: text, set: set, file: file}, err
}

// result returns the new text.
func (s *source) result() ([]byte, error) {
	sort.SliceStable(s.edits, func(i, j int) bool { return s.edits[i].start > s.edits[j].start })
	text := string(s.text)
	for _, e := range s.edits {
		text = text[:e.start] + e.text + text[e.end:]
	}
	return format.Source([]byte(text))
}

func (s *source) offset(pos token.Pos) int { return s.set.Position(pos).Offset }

// of returns the text of a node.
func (s *source) of(node ast.Node) string {
	return string(s.text[s.offset(node.Pos()):s.offset(node.End())])
}

func (s *source) insert(pos token.Pos, text string) {
	s.edits = append(s.edits, edit{s.offset(pos), s.offset(pos), text})
}

func (s *source) replace(node ast.Node, text string) {
	s.edits = append(s.edits, edit{s.offset(node.Pos()), s.offset(node.End()), text})
}

// A function is a function of a source.
type function struct {
	*source
	*ast.FuncDecl
}

func (s *source) function(name string) (function, error) {
	for _, decl := range s.file.Decls {
		if f, is := decl.(*ast.FuncDecl); is && f.Recv == nil && f.Name.Name == name && f.Body != nil {
			return function{s, f}, nil
		}
	}
	return function{}, fmt.Errorf("%s: there is no function %s", s.name, name)
}

func (f function) fail(missing string) error {
	return fmt.Errorf("%s: the function %s has no %s", f.name, f.Name.Name, missing)
}

// calls returns the calls of a function or method inside a node, such as "s.Backup".
func (f function) calls(node ast.Node, name string) []*ast.CallExpr {
	return find(node, func(call *ast.CallExpr) bool { return f.of(call.Fun) == name })
}

// statement returns the first statement of the body for which `is` is true, and its index; -1 if there is
// none.
func (f function) statement(is func(ast.Stmt) bool) (ast.Stmt, int) {
	for i, statement := range f.Body.List {
		if is(statement) {
			return statement, i
		}
	}
	return nil, -1
}

// parameter returns the name of the first parameter.
func (f function) parameter() string {
	for _, field := range f.Type.Params.List {
		for _, name := range field.Names {
			return name.Name
		}
	}
	return "_"
}

// find returns all nodes of a type inside a node for which `is` is true.
func find[T ast.Node](in ast.Node, is func(T) bool) (found []T) {
	ast.Inspect(in, func(node ast.Node) bool {
		if node, of := node.(T); of && is(node) {
			found = append(found, node)
		}
		return true
	})
	return found
}

// addField adds a field to a struct. `field` is its whole text, with a comment.
func addField(structure, name, field string) func(*source) (bool, error) {
	return func(s *source) (bool, error) {
		for _, spec := range find(s.file, func(spec *ast.TypeSpec) bool { return spec.Name.Name == structure }) {
			fields, is := spec.Type.(*ast.StructType)
			if !is {
				continue
			}
			if len(find(fields, func(field *ast.Field) bool {
				return len(field.Names) > 0 && field.Names[0].Name == name
			})) > 0 {
				return false, nil
			}
			s.insert(fields.Fields.Closing, field)
			return true, nil
		}
		return false, fmt.Errorf("%s: there is no struct %s", s.name, structure)
	}
}
