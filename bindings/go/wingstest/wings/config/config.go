// Package config is a stand-in for Wings' package.
package config

// Configuration is the content of config.yml.
type Configuration struct {
	System SystemConfiguration
}

// SystemConfiguration is the section system.
type SystemConfiguration struct {
	// Data has a directory for each server.
	Data            string  `yaml:"data"`
	BackupDirectory string  `yaml:"backup_directory"`
	Backups         Backups `yaml:"backups"`
}

// Backups is the section system.backups.
type Backups struct {
	WriteLimit       int    `default:"0" yaml:"write_limit"`
	CompressionLevel string `default:"best_speed" yaml:"compression_level"`
}

var current Configuration

// Set replaces the configuration.
func Set(c *Configuration) { current = *c }

// Get returns a copy of the configuration.
func Get() *Configuration {
	c := current
	return &c
}
