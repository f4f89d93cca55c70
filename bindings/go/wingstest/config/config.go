// Package config is a stand-in for Wings' package. It has the parts that an adapter uses.
package config

// Configuration is the content of config.yml.
type Configuration struct {
	System SystemConfiguration
}

// SystemConfiguration is the section system.
type SystemConfiguration struct {
	BackupDirectory string
	Backups         Backups
}

// Backups is the section system.backups. The adapter adds Engine.
type Backups struct {
	WriteLimit       int
	CompressionLevel string
	Engine           string
}

var current Configuration

// Set replaces the configuration.
func Set(c *Configuration) { current = *c }

// Get returns a copy of the configuration.
func Get() *Configuration {
	c := current
	return &c
}
