// Package config stands in for Wings' own: of its shape, as far as an adapter sees it.
package config

// Configuration is what config.yml has.
type Configuration struct {
	System SystemConfiguration
}

// SystemConfiguration is its section system.
type SystemConfiguration struct {
	BackupDirectory string
	Backups         Backups
}

// Backups is the section system.backups. Engine is what the adapter adds.
type Backups struct {
	WriteLimit       int
	CompressionLevel string
	Engine           string
}

var current Configuration

// Set puts one in place.
func Set(c *Configuration) { current = *c }

// Get gives a copy.
func Get() *Configuration {
	c := current
	return &c
}
