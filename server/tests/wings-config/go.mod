module wingback.test/wings-config

go 1.21

require (
	github.com/creasty/defaults v1.8.0
	gopkg.in/yaml.v2 v2.4.0
)
