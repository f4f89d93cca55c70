module wingback/benches/peer

go 1.24

require (
	github.com/klauspost/pgzip v1.2.6
	github.com/sabhiram/go-gitignore v0.0.0-20210923224102-525f6e181f06
)

require github.com/klauspost/compress v1.18.7 // indirect
