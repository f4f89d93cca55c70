module github.com/wingback/wingback/bindings/go

go 1.21
