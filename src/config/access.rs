//! The flags that say who may use the server, and the file of credentials.
//!
//! ```text
//! file     = *( blank | comment | section | property | nested )      the AWS CLI's ~/.aws/credentials
//! comment  = ( "#" | ";" ) ...
//! section  = "[" name "]"
//! property = name "=" value    aws_access_key_id, aws_secret_access_key, aws_session_token; others mean nothing
//! nested   = blank property               belongs to the property above it, ignored
//! ```
//!
//! A secret may contain any character, so neither quotes, nor escapes, nor comments behind a value have a meaning. That
//! is what the AWS CLI does with these properties, and why no library for the many other dialects of INI is used.

use crate::server::{AccessKey, AccessKeys, Secret};
use clap::Args;
use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A file of credentials is smaller; whatever is larger was named by mistake.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[derive(Args, Clone, Debug, Default)]
pub struct AccessFlags {
    /// Access key id that requests must be signed with; without any key, every signature is good
    #[arg(long, env = "JORMUN_ACCESS_KEY_ID", value_name = "ID", requires = "secret_access_key")]
    pub access_key_id: Option<String>,

    /// Secret of the access key. Other users of the machine see flags: prefer the variable or a file
    #[arg(long, env = "JORMUN_SECRET_ACCESS_KEY", value_name = "SECRET", requires = "access_key_id",
          hide_env_values = true, value_parser = parse_secret)]
    pub secret_access_key: Option<Secret>,

    /// File with any number of access keys, in the format of ~/.aws/credentials
    #[arg(long, env = "JORMUN_CREDENTIALS_FILE", value_name = "FILE")]
    pub credentials_file: Option<PathBuf>,
}

/// Cannot fail, as the message of a failure would show the value.
fn parse_secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::from(text))
}

impl AccessFlags {
    /// All keys of the flags, or `None` when there are none. The error names its cause, and no secret.
    pub fn keys(&self) -> Result<Option<AccessKeys>, String> {
        let mut keys = Vec::new();
        if let (Some(id), Some(secret)) = (&self.access_key_id, &self.secret_access_key) {
            keys.push(AccessKey::new(id, secret.clone(), None).map_err(|error| format!("--access-key-id: {error}"))?);
        }
        if let Some(path) = &self.credentials_file {
            let in_file = |error| format!("--credentials-file {}: {error}", path.display());
            keys.extend(read_file(path).and_then(|text| parse_file(&text)).map_err(in_file)?);
        }
        if keys.is_empty() { Ok(None) } else { AccessKeys::new(keys).map(Some) }
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if metadata.len() > FILE_BYTES_MAX {
        return Err(format!("is longer than {FILE_BYTES_MAX} bytes"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!(file = %path.display(), "other users may read the secrets: chmod 600 is advised");
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

/// The properties of one section.
#[derive(Default)]
struct Section<'t> {
    name: &'t str,
    id: Option<&'t str>,
    secret: Option<&'t str>,
    session_token: Option<&'t str>,
}

impl Section<'_> {
    /// A section without any of the properties has no key; the AWS CLI keeps other things in such.
    fn key(&self) -> Result<Option<AccessKey>, String> {
        let in_section = |problem: &str| format!("section [{}]: {problem}", self.name);
        match (self.id, self.secret) {
            (None, None) => Ok(None),
            (Some(id), Some(secret)) => {
                let key = AccessKey::new(id, secret, self.session_token.filter(|token| !token.is_empty()));
                key.map(Some).map_err(|problem| in_section(&problem))
            }
            (None, Some(_)) => Err(in_section("aws_access_key_id is missing")),
            (Some(_), None) => Err(in_section("aws_secret_access_key is missing")),
        }
    }
}

fn parse_file(text: &str) -> Result<Vec<AccessKey>, String> {
    let mut keys = Vec::new();
    let mut section: Option<Section<'_>> = None;
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if line.trim().is_empty() || line.starts_with(['#', ';', ' ', '\t']) {
            continue;
        }
        // What stands in the line may be a secret that was put there by mistake, so the message does not repeat it.
        let malformed = || format!("line {}: neither [section] nor name = value in a section", index + 1);
        if let Some(name) = line.trim_end().strip_prefix('[') {
            let name = name.strip_suffix(']').ok_or_else(malformed)?.trim();
            let finished = section.replace(Section { name, ..Section::default() });
            keys.extend(finished.map(|section| section.key()).transpose()?.flatten());
            continue;
        }
        let (name, value) = line.split_once('=').ok_or_else(malformed)?;
        let section = section.as_mut().ok_or_else(malformed)?;
        let value = Some(value.trim());
        match name.trim().to_ascii_lowercase().as_str() {
            "aws_access_key_id" => section.id = value,
            "aws_secret_access_key" => section.secret = value,
            "aws_session_token" => section.session_token = value,
            _ => {}
        }
    }
    keys.extend(section.map(|section| section.key()).transpose()?.flatten());
    if keys.is_empty() { Err("holds no access key".into()) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(text: &str) -> Result<usize, String> {
        parse_file(text).and_then(AccessKeys::new).map(|keys| keys.count())
    }

    #[test]
    fn files_of_the_aws_cli_are_read() {
        let text = "\u{feff}# written by aws configure\r\n[default]\r\naws_access_key_id = AKIDONE\r\n\
                    aws_secret_access_key=a=b#c;d\"e\\f g\r\n\r\n; another\n[ two ]\nregion = eu-west-1\ns3 =\n  \
                    max_queue_size = 10\n  aws_access_key_id = ignored\nAWS_ACCESS_KEY_ID= AKIDTWO \n\
                    aws_secret_access_key =  two  \naws_session_token = token\n[empty]\n[sso]\nsso_region = x\n";
        let keys = parse_file(text).expect("a good file");
        let expected = [
            AccessKey::new("AKIDONE", "a=b#c;d\"e\\f g", None).expect("a good key"),
            AccessKey::new("AKIDTWO", "two", Some("token")).expect("a good key"),
        ];
        assert_eq!(keys, expected);
        assert_eq!(described(text), Ok(2));
        let same =
            "[a]\naws_access_key_id=x\naws_secret_access_key=y\n[b]\naws_access_key_id=x\naws_secret_access_key=y";
        assert_eq!(described(same), Ok(1), "two profiles of one user");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_without_its_secrets() {
        let check = |text: &str, cause: &str| {
            let message = described(text).expect_err(text);
            assert!(message.contains(cause) && !message.contains("hidden"), "{text:?}: {message}");
        };
        check("", "holds no access key");
        check("[default]\nregion = x\n", "holds no access key");
        check("[default]\naws_access_key_id = x\n", "section [default]: aws_secret_access_key is missing");
        check("[a]\naws_secret_access_key = hidden\n[b]\n", "section [a]: aws_access_key_id is missing");
        check("aws_secret_access_key = hidden\n", "line 1");
        check("[default]\nhidden\n", "line 2");
        check("[default\n", "line 1");
        check("[a]\naws_access_key_id = x/y\naws_secret_access_key = hidden\n", "\"x/y\" is not 1 to 128");
        check("[a]\naws_access_key_id =\naws_secret_access_key = hidden\n", "is not 1 to 128");
        check("[a]\naws_access_key_id = x\naws_secret_access_key =\n", "the secret of access key x is empty");
        check(
            "[a]\naws_access_key_id=x\naws_secret_access_key=hidden1\n[b]\naws_access_key_id=x\n\
             aws_secret_access_key=hidden2",
            "access key x is given twice with different secrets",
        );
        let many: String = (0..1025)
            .map(|number| format!("[a]\naws_access_key_id=x{number}\naws_secret_access_key=hidden\n"))
            .collect();
        check(&many, "1025 access keys");
    }

    #[test]
    fn keys_come_from_flags_and_file_together() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("credentials");
        fs::write(&path, "[a]\naws_access_key_id = filed\naws_secret_access_key = hidden\n").expect("written");
        let pair = AccessFlags {
            access_key_id: Some("flagged".into()),
            secret_access_key: Some(Secret::from("hidden")),
            credentials_file: None,
        };
        let count = |flags: &AccessFlags| flags.keys().map(|keys| keys.map(|keys| keys.count()));
        assert_eq!(count(&AccessFlags::default()), Ok(None));
        assert_eq!(count(&pair), Ok(Some(1)));
        let both = AccessFlags { credentials_file: Some(path.clone()), ..pair.clone() };
        assert_eq!(count(&both), Ok(Some(2)));
        let shown = format!("{both:?} {:?}", both.keys());
        assert!(shown.contains("flagged") && !shown.contains("hidden"), "{shown}");

        let absent = AccessFlags { credentials_file: Some(directory.path().join("absent")), ..AccessFlags::default() };
        assert!(count(&absent).is_err_and(|message| message.contains("absent") && message.contains("No such file")));
        let large = fs::File::create(&path).and_then(|file| file.set_len(FILE_BYTES_MAX + 1));
        large.expect("a sparse file");
        assert!(count(&both).is_err_and(|message| message.contains("longer than")));
    }
}
