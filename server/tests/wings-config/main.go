// Reads documents from standard input as Wings reads its configuration, and prints the result.
//
// A document is a line with a JSON string, or an object {"expand": "text"} that asks for the meaning
// of a token. The result is a line of JSON: the values by their keys, or an error.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"

	"github.com/creasty/defaults"
	"gopkg.in/yaml.v2"
)

// The keys that the daemon reads, with Wings' types and defaults.
type config struct {
	TokenID        string   `yaml:"token_id"`
	Token          string   `yaml:"token"`
	Remote         string   `yaml:"remote"`
	AllowedOrigins []string `yaml:"allowed_origins"`
	API            api      `yaml:"api"`
	System         system   `yaml:"system"`
}

type api struct {
	Host string `yaml:"host" default:"0.0.0.0"`
	Port int    `yaml:"port" default:"8080"`
	SSL  ssl    `yaml:"ssl"`
}

type ssl struct {
	Enabled bool   `yaml:"enabled"`
	Cert    string `yaml:"cert"`
	Key     string `yaml:"key"`
}

type system struct {
	Root    string  `yaml:"root_directory" default:"/var/lib/pterodactyl"`
	Data    string  `yaml:"data" default:"/var/lib/pterodactyl/volumes"`
	Backups string  `yaml:"backup_directory" default:"/var/lib/pterodactyl/backups"`
	User    user    `yaml:"user"`
	Backup  backups `yaml:"backups"`
}

type user struct {
	UID int `yaml:"uid"`
	GID int `yaml:"gid"`
}

type backups struct {
	WriteLimit int    `yaml:"write_limit"`
	Level      string `yaml:"compression_level" default:"best_speed"`
}

func main() {
	input := json.NewDecoder(bufio.NewReader(os.Stdin))
	buffered := bufio.NewWriter(os.Stdout)
	output := json.NewEncoder(buffered)
	for input.More() {
		var question any
		if err := input.Decode(&question); err != nil {
			log.Fatal(err)
		}
		var answer any
		switch question := question.(type) {
		case string:
			answer = read(question)
		case map[string]any:
			answer = os.ExpandEnv(question["expand"].(string))
		}
		if err := output.Encode(answer); err != nil {
			log.Fatal(err)
		}
	}
	if err := buffered.Flush(); err != nil {
		log.Fatal(err)
	}
}

func read(document string) map[string]any {
	var c config
	if err := defaults.Set(&c); err != nil {
		log.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(document), &c); err != nil {
		return map[string]any{"error": err.Error()}
	}
	level := map[string]string{"none": "none", "best_compression": "best"}[c.System.Backup.Level]
	if level == "" {
		level = "fast"
	}
	return map[string]any{
		"token_id":                         c.TokenID,
		"token":                            c.Token,
		"remote":                           c.Remote,
		"allowed_origins":                  append([]string{}, c.AllowedOrigins...),
		"api.host":                         host(c.API.Host),
		"api.port":                         c.API.Port,
		"api.ssl.enabled":                  c.API.SSL.Enabled,
		"api.ssl.cert":                     c.API.SSL.Cert,
		"api.ssl.key":                      c.API.SSL.Key,
		"system.root_directory":            c.System.Root,
		"system.data":                      c.System.Data,
		"system.backup_directory":          c.System.Backups,
		"system.user.uid":                  c.System.User.UID,
		"system.user.gid":                  c.System.User.GID,
		"system.backups.write_limit":       c.System.Backup.WriteLimit,
		"system.backups.compression_level": level,
	}
}

var name = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// The host of a listening address, after a colon and a port have been appended. Null if it is not an
// address.
func host(host string) any {
	host, _, err := net.SplitHostPort(host + ":" + strconv.Itoa(8080))
	if err != nil {
		return nil
	}
	if _, err := netip.ParseAddr(host); err == nil || host == "" || name.MatchString(host) {
		return host
	}
	return nil
}
