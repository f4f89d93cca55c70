use uuid::Uuid;
use wingback::{IgnoreFile, Level, Rules};

use super::*;

const WINGS: &str = "
debug: false
app_name: Pterodactyl
uuid: 2f9a1f4e-6a3b-4d31-9d0a-0f4f5c3f2b11
token_id: abcdefgh
token: secret
api:
  host: 0.0.0.0
  port: 8080
  ssl: {enabled: true, cert: /etc/cert.pem, key: /etc/key.pem}
  upload_limit: 100
system:
  root_directory: /srv/ptero
  data: /srv/volumes
  user: {uid: 988, gid: 987}
  backups: {write_limit: 2, compression_level: best_compression}
  backup_write_limit: 1000
  sftp: {bind_port: 2022}
allowed_mounts: []
remote: https://panel.example.com
";

#[test]
fn the_configuration_file_of_wings_is_read_unchanged() {
    let config = Config::parse(WINGS).unwrap();
    assert_eq!(config.address().unwrap(), "0.0.0.0:8080".parse().unwrap());
    assert_eq!(config.data(), Path::new("/srv/volumes"));
    assert_eq!(config.backup_directory(), Path::new("/srv/ptero/backups"));
    assert_eq!(config.state_directory(), Path::new("/srv/ptero/wingback"));
    assert_eq!(config.write_limit(), 1000, "the lower of both");
    assert_eq!(config.level(), Level::Best);
    assert_eq!((config.user().uid, config.user().gid), (Some(988), Some(987)));
    assert!(config.api.ssl.enabled);
    assert_eq!((config.rules(), config.ignore_mode()), (Rules::Git, IgnoreFile::Merge));
}

#[test]
fn defaults_are_as_documented_and_on_loopback() {
    let config = Config::parse("token: x\n").unwrap();
    assert!(config.address().unwrap().ip().is_loopback());
    assert_eq!(config.backup_directory(), Path::new("/var/lib/pterodactyl/backups"));
    assert_eq!(config.memory_limit(), 256 << 20);
    let (server, backup) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let key = config.archive_name().of(server).key(backup);
    assert_eq!(key.as_str(), format!("backup-{backup}.tar.gz"));
    let text = "wingback: {archive_name: '{server}/{uuid}.tar.gz', listen: '[::1]:9'}";
    let config = Config::parse(text).unwrap();
    let key = config.archive_name().of(server).key(backup);
    assert_eq!(key.as_str(), format!("{server}/{backup}.tar.gz"));
    assert_eq!(config.address().unwrap(), "[::1]:9".parse().unwrap());
}

#[test]
fn the_switch_changes_only_defaults() {
    let summary = |text: &str| Config::parse(text).unwrap().summary();
    assert_eq!(
        summary("wingback: {compatibility: pelican}"),
        "wingback.compatibility: pelican\n\
         system.root_directory: /var/lib/pelican\n\
         system.data: /var/lib/pelican/volumes\n\
         system.backup_directory: /var/lib/pelican/backups\n\
         wingback.archive_name: {server}/{uuid}.tar.gz\n\
         wingback.ignore_file: .pelicanignore\n\
         wingback.ignore_mode: replace\n\
         wingback.rules: wings\n\
         wingback.tokens: pelican\n\
         system.backups.restore_host_allowlist: public, []\n\
         wingback.invalid_adapter_status: 500\n\
         wingback.invalid_uuid_status: 400\n"
    );
    let both = ["", "compatibility: pterodactyl, "].map(|switch| {
        let text = "archive_name: 'a-{uuid}', ignore_file: .x, ignore_mode: none, rules: git, \
                    tokens: pelican, invalid_adapter_status: 422, invalid_uuid_status: 418";
        let system = "root_directory: /r, data: /d, backup_directory: /b, \
                      backups: {restore_host_allowlist: [minio.internal]}";
        let text = format!("wingback: {{{switch}{text}}}\nsystem: {{{system}}}\n");
        summary(&text).split_once('\n').unwrap().1.to_owned()
    });
    assert_eq!(both[0], both[1]);
    assert!(both[0].lines().count() == 11, "{}", both[0]);
    assert!(both[0].lines().all(|line| line.ends_with("# set in the file")), "{}", both[0]);
}

#[test]
fn a_secret_may_be_in_a_file_and_a_limit_below_one_means_no_limit() {
    let tmp = tempfile::tempdir().unwrap();
    let file = tmp.path().join("secret");
    fs::write(&file, " hidden\n").unwrap();
    let path = tmp.path().join("config.yml");
    let at = format!("file://{}", file.display());
    let text = format!(
        "token: {at}\ntoken_id: {at}\napi: {{host: localhost}}\n\
             system: {{backups: {{write_limit: -1}}}}\n"
    );
    fs::write(&path, text).unwrap();
    let config = Config::read(&path, None).unwrap();
    assert_eq!((&*config.token.0, &*config.token_id), ("hidden", "hidden"));
    assert!(config.address().unwrap().ip().is_loopback() && config.write_limit() == 0);
}

#[test]
fn the_blocks_of_the_daemon_can_be_in_a_file_of_their_own() {
    let tmp = tempfile::tempdir().unwrap();
    let [path, blocks] = ["config.yml", "wingback.yml"].map(|name| tmp.path().join(name));
    fs::write(&path, "token: x\nwingback: {slots: 7, compatibility: pelican}\n").unwrap();
    fs::write(&blocks, "wingback: {slots: 3}\ns3: {bucket: backups}\n").unwrap();
    let config = Config::read(&path, None).unwrap();
    assert_eq!((config.wingback.slots, config.tokens()), (3, Compatibility::Documented));
    assert!(config.s3.is_some());
    let config = Config::read(&path, Some(Compatibility::Pterodactyl)).unwrap();
    assert_eq!(config.tokens(), Compatibility::Pterodactyl);
    fs::write(&blocks, "wingback: {slots: 0}\n").unwrap();
    let problem = Config::read(&path, None).unwrap_err();
    assert!(problem.contains("wingback.yml: wingback.slots"), "{problem}");
}

#[test]
fn an_impossible_configuration_is_an_error_at_the_start() {
    for (text, why) in [
        ("remote: https://p.example.com\n", "token: it is missing"),
        ("token: x\nremote: panel.example.com\n", "remote: "),
        ("token: x\ns3: {bucket: ''}\n", "the bucket's name is missing"),
        ("token: x\ns3: {region: x}\n", "the bucket's name is missing"),
        (
            "token: x\ns3: {bucket: backups, endpoint: 's3.example.com'}\n",
            "s3: use the S3 option endpoint: ",
        ),
        ("token: x\ns3: {bucket: backups, part_size: 5}\n", "s3: use the S3 option part_size: "),
        (
            "token: x\ns3: {bucket: backups, transfer: {parallel: 0}}\n",
            "s3: use the option parallel: ",
        ),
        (
            "token: x\nwingback: {encoder: isa-l}\nsystem: {backups: {compression_level: none}}\n",
            "wingback.encoder: ",
        ),
    ] {
        let problem = Config::parse(text).unwrap().check().unwrap_err();
        assert!(problem.contains(why), "{problem}");
    }
    for s3 in [
        "{bucket: backups}",
        "{bucket: backups, part_size: 8388608, dead_after_s: 60, transfer: {retry_for_ms: 5}}",
    ] {
        Config::parse(&format!("token: x\ns3: {s3}\n")).unwrap().check().unwrap();
    }
}

#[test]
fn a_wrong_value_is_an_error_with_its_key_and_line_and_without_a_secret() {
    for (text, key, line) in [
        ("token: x\napi:\n  port: banana\n", "api.port", "line 3"),
        ("api:\n  host: '!'\n", "api.host", "line 2"),
        ("system:\n  backup_write_limit: -1\n", "system.backup_write_limit", "line 2"),
        ("system:\n  backups:\n    compression_level: [zip]\n", "compression_level", "line 3"),
        ("wingback:\n  rules: perl\n", "wingback.rules", "line 2"),
        ("wingback:\n  encoder: zip\n", "wingback.encoder", "line 2"),
        ("wingback:\n  compatibility: wings\n", "wingback.compatibility", "line 2"),
        ("wingback:\n  tokens: any\n", "wingback.tokens", "line 2"),
        ("wingback:\n  invalid_uuid_status: 204\n", "wingback.invalid_uuid_status", "line 2"),
        ("wingback:\n  slots: 0\n", "wingback.slots", "line 2"),
        ("wingback:\n  archive_name: ../x\n", "wingback.archive_name", "line 2"),
        ("wingback:\n  archive_name: '{uuid}-{date}'\n", "wingback.archive_name", "line 2"),
        ("s3:\n  names: x\n", "s3.names", "line 2"),
        ("s3:\n  acess_key: hunter2\n", "acess_key", "line 2"),
        ("s3:\n  credentials: {access_key: a}\n", "secret_key", "line 2"),
        ("s3:\n  credentials:\n    secret_key: [hunter2]\n", "secret_key", "line 3"),
        ("token: [hunter2\n", "token", "line 1"),
        ("token: hunter2\ntoken: hunter2\n", "token", "line 2"),
    ] {
        let problem = Config::parse(text).unwrap_err();
        assert!(problem.contains(key) && problem.contains(line), "{problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}

#[test]
fn hooks_of_a_server_replace_those_of_the_node() {
    let (server, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let text = format!(
        "wingback:\n  hooks:\n    before: 'systemctl stop x'\n    after_read: y\n    timeout: 1m30s\n  \
         server_hooks:\n    {server}:\n      quiesce: ['bedrock-console:/run/{{server}},/log/{{server}}']\n      \
         rcon_password_file: /etc/{{server}}.password\n"
    );
    let config = Config::parse(&text).unwrap();
    let hooks = config.hooks(other);
    assert_eq!(hooks.before.as_deref(), Some("systemctl stop x".as_ref()));
    assert_eq!(hooks.after_read.as_deref(), Some("y".as_ref()));
    assert_eq!((hooks.after, hooks.timeout), (None, Duration::from_secs(90)));
    let hooks = config.hooks(server);
    assert_eq!((hooks.before, hooks.timeout), (None, Duration::from_secs(300)));
    let target = format!("{:?}", hooks.quiesce);
    assert!(target.contains(&format!("/run/{server}")), "{target}");
    assert!(target.contains(&format!("/log/{server}")), "{target}");
    let file = hooks.rcon_password_file.unwrap();
    assert_eq!(file, Path::new(&format!("/etc/{server}.password")));
    assert!(Config::parse("token: x").unwrap().hooks(server).is_empty());
}

#[test]
fn a_mistake_in_the_hooks_is_an_error_with_its_key() {
    for (block, key, why) in [
        ("hooks: {befor: x}", "wingback.hooks", "befor"),
        ("hooks: {quiesce: ['rcon://']}", "wingback.hooks.quiesce", "rcon://HOST:PORT"),
        ("hooks: {quiesce: ['rcon://me:secret@host']}", "wingback.hooks.quiesce", "password"),
        ("hooks: {quiesce: 'rcon://host'}", "wingback.hooks.quiesce", "list"),
        ("hooks: {timeout: 0}", "wingback.hooks.timeout", "1 second"),
        ("server_hooks: {lobby: {before: x}}", "wingback.server_hooks", "UUID"),
        (
            "server_hooks: {00000000-0000-0000-0000-000000000001: {after: x}, \
             00000000-0000-0000-0000-000000000001: {after: y}}",
            "wingback.server_hooks",
            "two values",
        ),
    ] {
        let error = Config::parse(&format!("wingback:\n  {block}\n")).unwrap_err();
        assert!(error.contains(key) && error.contains(why), "{block}: {error}");
    }
}
