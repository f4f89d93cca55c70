module wingback.test/go-gitignore

go 1.21

require github.com/sabhiram/go-gitignore v0.0.0-20210923224102-525f6e181f06
