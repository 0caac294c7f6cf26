//! How [`crate::download`] gets a file: HTTP, verification, unpacking.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tar::EntryType;
use tempfile::{NamedTempFile, TempDir};
use ureq::http::{Uri, header::LOCATION};

use crate::error::DataError;
use crate::remote::{Kind, Progress, Remote};

/// The start of every temporary name.
const PREFIX: &str = ".firesight-download-";
const MAX_REDIRECTS: usize = 5;
const CONNECT: Duration = Duration::from_secs(30);
/// How long nothing at all may arrive.
const STALL: Duration = Duration::from_secs(60);
/// An archive may unpack to this many times its size.
const MAX_EXPANSION: u64 = 20;

/// Which proxy is used.
#[derive(Clone, Copy)]
pub(crate) enum Proxy {
    /// The one that `HTTP_PROXY` and its relatives name, if any.
    FromEnvironment,
    /// None.
    #[cfg(test)]
    None,
}

/// Fetches, verifies, unpacks, and puts in place.
pub(crate) fn fetch(
    remote: &Remote,
    folder: &Path,
    proxy: Proxy,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), DataError> {
    let made = missing_folders(folder);
    let result = fetch_into(remote, folder, proxy, progress);
    if result.is_err() {
        // Only what was made here, and only if it is empty.
        made.iter().for_each(|folder| drop(fs::remove_dir(folder)));
    }
    result
}

/// Those of a folder and its parents that do not exist, the innermost first.
fn missing_folders(folder: &Path) -> Vec<PathBuf> {
    let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    folder
        .ancestors()
        .take_while(missing)
        .map(Path::to_path_buf)
        .collect()
}

fn fetch_into(
    remote: &Remote,
    folder: &Path,
    proxy: Proxy,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), DataError> {
    let fault = |reason: String| DataError::Download {
        url: remote.url.clone(),
        reason,
    };
    let name = remote
        .url
        .rsplit('/')
        .next()
        .filter(|name| !name.is_empty() && !name.starts_with('.'));
    let name = name.ok_or_else(|| fault("no file name in it".into()))?;
    fs::create_dir_all(folder).map_err(|error| DataError::io(folder, "make", error))?;
    let temporary = tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder);
    let mut file = temporary.map_err(|error| DataError::io(folder, "write to", error))?;
    transfer(remote, &mut file, proxy, progress).map_err(|reason| fault(reason.to_string()))?;
    match remote.kind {
        Kind::File => {
            let target = folder.join(name);
            file.persist(&target)
                .map_err(|error| DataError::io(&target, "write", error.error))?;
            readable(&target);
        }
        Kind::Tar | Kind::TarGz => {
            let input = file
                .reopen()
                .map_err(|error| DataError::io(file.path(), "read", error))?;
            let unpacked = tempfile::Builder::new().prefix(PREFIX).tempdir_in(folder);
            let unpacked = unpacked.map_err(|error| DataError::io(folder, "write to", error))?;
            let packed = input
                .metadata()
                .map_err(|error| DataError::io(file.path(), "read", error))?
                .len();
            let input = io::BufReader::new(input);
            match remote.kind {
                Kind::TarGz => unpack(flate2::read::GzDecoder::new(input), &unpacked, packed),
                _ => unpack(input, &unpacked, packed),
            }
            .map_err(|reason| fault(reason.to_string()))?;
            merge(unpacked.path(), folder)?;
        }
    }
    Ok(())
}

/// Temporary files are private to their owner; datasets need not be.
fn readable(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A file system without permissions is no reason to fail.
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o644));
    }
    #[cfg(not(unix))]
    let _ = path;
}

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Brings the bytes to `file`, counting and hashing them.
fn transfer(
    remote: &Remote,
    file: &mut NamedTempFile,
    proxy: Proxy,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), Fault> {
    let (mut body, announced) = request(&remote.url, proxy)?;
    let total = remote.bytes.or(announced);
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut done = 0;
    loop {
        progress(Progress {
            url: &remote.url,
            done,
            total,
        });
        let count = body
            .read(&mut buffer)
            .map_err(|error| format!("cut short after {done} bytes: {error}"))?;
        if count == 0 {
            break;
        }
        done += count as u64;
        if let Some(total) = total.filter(|&total| done > total) {
            return Err(format!("more than the {total} bytes that it should have").into());
        }
        hasher.update(&buffer[..count]);
        file.write_all(&buffer[..count])?;
    }
    if let Some(total) = total.filter(|&total| done < total) {
        return Err(format!("cut short: {done} of {total} bytes").into());
    }
    let sha256 = format!("{:x}", hasher.finalize());
    if !sha256.starts_with(&remote.sha256) {
        return Err(format!("its SHA-256 is {sha256}; expected {}", remote.sha256).into());
    }
    file.as_file().sync_all()?;
    Ok(())
}

/// The body of the answer and its announced size, redirects on the same host followed.
fn request(url: &str, proxy: Proxy) -> Result<(impl Read, Option<u64>), Fault> {
    #[cfg_attr(not(test), expect(unused_mut))]
    let mut config = ureq::Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("firesight-data/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(STALL))
        .timeout_per_read(Some(STALL));
    match proxy {
        // What the agent does by itself.
        Proxy::FromEnvironment => {}
        #[cfg(test)]
        Proxy::None => config = config.proxy(None),
    }
    follow(url, &config.build().into())
}

fn follow(
    url: &str,
    agent: &ureq::Agent,
) -> Result<(ureq::BodyReader<'static>, Option<u64>), Fault> {
    let mut uri: Uri = url.parse()?;
    for _ in 0..=MAX_REDIRECTS {
        let answer = agent.get(&uri).call()?;
        let status = answer.status();
        if status.is_success() {
            let body = answer.into_body();
            let announced = body.content_length();
            return Ok((body.into_reader(), announced));
        }
        if !status.is_redirection() {
            return Err(format!("the server answered {status}").into());
        }
        let location = answer
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok());
        let location =
            location.ok_or_else(|| format!("the server answered {status} without an address"))?;
        uri = redirected(&uri, location)?;
    }
    Err(format!("more than {MAX_REDIRECTS} redirects").into())
}

/// Where a redirect leads, if it stays with its host.
fn redirected(from: &Uri, location: &str) -> Result<Uri, Fault> {
    let (scheme, authority) = (
        from.scheme_str().unwrap_or_default(),
        from.authority().map_or("", |a| a.as_str()),
    );
    let to = if location.contains("://") {
        location.to_string()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let folder = from
            .path()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let to: Uri = to
        .parse()
        .map_err(|error| format!("redirects to {to}, which is no address: {error}"))?;
    let place = |uri: &Uri| {
        (
            uri.host().unwrap_or_default().to_lowercase(),
            uri.port_u16(),
        )
    };
    let upgraded = from.scheme_str() == Some("http") && to.scheme_str() == Some("https");
    if place(from) != place(&to) || (from.scheme_str() != to.scheme_str() && !upgraded) {
        return Err(format!("redirects to {to}, which is another host").into());
    }
    Ok(to)
}

/// Unpacks an archive into an empty folder. Only files and folders inside that folder are allowed.
fn unpack(input: impl Read, folder: &TempDir, packed_bytes: u64) -> Result<(), Fault> {
    let mut archive = tar::Archive::new(input);
    let mut allowed = packed_bytes.saturating_mul(MAX_EXPANSION);
    for entry in archive.entries()? {
        let mut entry = entry.map_err(|error| format!("damaged archive: {error}"))?;
        let shown = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = inside(
            &entry
                .path()
                .map_err(|error| format!("archive entry `{shown}`: {error}"))?,
        )
        .ok_or_else(|| format!("archive entry `{shown}` leaves its folder"))?;
        let target = folder.path().join(path);
        match entry.header().entry_type() {
            EntryType::Directory => fs::create_dir_all(&target)?,
            EntryType::Regular | EntryType::Continuous => {
                if let Some(parent) = target.parent() {
                    fs::create_dir_all(parent)?;
                }
                let mut file = File::create_new(&target).map_err(|error| {
                    format!("archive entry `{shown}` cannot be written: {error}")
                })?;
                let written = io::copy(&mut entry.by_ref().take(allowed + 1), &mut file)
                    .map_err(|error| format!("damaged archive: entry `{shown}`: {error}"))?;
                allowed = allowed.checked_sub(written).ok_or_else(|| {
                    format!("archive entry `{shown}`: unpacks to more than {MAX_EXPANSION} times its size")
                })?;
                if written != entry.size() {
                    return Err(format!("damaged archive: entry `{shown}` is cut short").into());
                }
            }
            EntryType::XGlobalHeader => {}
            EntryType::Symlink | EntryType::Link => {
                return Err(format!("archive entry `{shown}` is a link").into());
            }
            _ => {
                return Err(
                    format!("archive entry `{shown}` is neither a file nor a folder").into(),
                );
            }
        }
    }
    Ok(())
}

/// A relative path without any way out of its folder.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(clean)
}

/// Moves what lies in `from` into `to`. Folders that are there already take the files; a file that is there
/// already is replaced.
fn merge(from: &Path, to: &Path) -> Result<(), DataError> {
    let fault = |path: &Path, error| DataError::io(path, "move", error);
    for entry in fs::read_dir(from).map_err(|error| fault(from, error))? {
        let entry = entry.map_err(|error| fault(from, error))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() && target.is_dir() {
            merge(&path, &target)?;
        } else {
            fs::rename(&path, &target).map_err(|error| fault(&target, error))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    /// A server on loopback that gives each path the whole answer that is listed for it.
    fn serve(answers: Vec<(&'static str, Vec<u8>)>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let path = lines
                    .next()
                    .unwrap()
                    .unwrap()
                    .split(' ')
                    .nth(1)
                    .unwrap()
                    .to_string();
                while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
                let answer = answers.iter().find(|(name, _)| *name == path);
                let missing =
                    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                        .to_vec();
                // The client may hang up on an answer that it refuses.
                let _ = stream.write_all(answer.map_or(&missing, |(_, answer)| answer));
            }
        });
        format!("http://{address}")
    }

    fn ok(length: usize, body: &[u8]) -> Vec<u8> {
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        [head.as_bytes(), body].concat()
    }

    fn moved(location: &str) -> Vec<u8> {
        format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into()
    }

    fn remote(url: String, content: &[u8], kind: Kind) -> Remote {
        Remote {
            url,
            sha256: format!("{:x}", Sha256::digest(content)),
            bytes: Some(content.len() as u64),
            kind,
        }
    }

    fn get(remote: &Remote, folder: &Path) -> Result<(), String> {
        fetch(remote, folder, Proxy::None, &mut |_| {}).map_err(|error| error.to_string())
    }

    /// Fetches what must fail, into a folder that is not there, and sees that none is left.
    fn refused(remote: &Remote) -> String {
        let root = tempfile::tempdir().unwrap();
        let error = get(remote, &root.path().join("new/folder")).unwrap_err();
        assert!(error.starts_with(&remote.url), "{error}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "{error}");
        error
    }

    #[test]
    fn a_whole_file_is_put_in_place_with_progress() {
        let content = vec![7; 200_000];
        let host = serve(vec![
            ("/a/data.bin", ok(content.len(), &content)),
            ("/moved/data.bin", moved("/a/data.bin")),
        ]);
        for path in ["/a/data.bin", "/moved/data.bin"] {
            let folder = tempfile::tempdir().unwrap();
            let mut last = (0, None);
            let file = remote(format!("{host}{path}"), &content, Kind::File);
            fetch(&file, folder.path(), Proxy::None, &mut |progress| {
                last = (progress.done, progress.total)
            })
            .unwrap();
            assert_eq!(fs::read(folder.path().join("data.bin")).unwrap(), content);
            assert_eq!(
                (last, fs::read_dir(folder.path()).unwrap().count()),
                ((200_000, Some(200_000)), 1)
            );
        }
    }

    #[test]
    fn what_is_not_what_it_should_be_leaves_nothing() {
        let content = b"the real content".to_vec();
        let host = serve(vec![
            ("/wrong", ok(16, b"some other bytes")),
            ("/cut", ok(16, b"the real")),
            ("/short", ok(8, b"the real")),
            ("/long", ok(21, b"the real content more")),
            ("/away", moved("http://localhost.example/away")),
            ("/port", moved("http://127.0.0.1:1/port")),
            ("/file", moved("file:///etc/passwd")),
            ("/loop", moved("/loop")),
        ]);
        for (path, reason) in [
            ("/wrong", "its SHA-256 is"),
            ("/cut", "cut short after 8 bytes"),
            ("/short", "cut short: 8 of 16 bytes"),
            ("/long", "more than the 16 bytes"),
            (
                "/away",
                "redirects to http://localhost.example/away, which is another host",
            ),
            ("/port", "another host"),
            ("/file", "redirects to file:///etc/passwd"),
            ("/loop", "more than 5 redirects"),
            ("/none", "the server answered 404"),
        ] {
            let error = refused(&remote(format!("{host}{path}"), &content, Kind::File));
            assert!(error.contains(reason), "{path}: {error}");
        }
        let closed = refused(&remote("http://127.0.0.1:1/x".into(), &content, Kind::File));
        assert!(closed.len() > 30, "{closed}");
    }

    #[test]
    fn the_first_digits_of_a_hash_are_enough_where_no_more_are_published() {
        let content = b"published weights".to_vec();
        let host = serve(vec![
            ("/w-1.pth", ok(content.len(), &content)),
            ("/cut/w-1.pth", ok(content.len(), b"published")),
        ]);
        let short = |path: &str| {
            let whole = remote(format!("{host}{path}"), &content, Kind::File);
            Remote {
                sha256: whole.sha256[..8].into(),
                bytes: None,
                ..whole
            }
        };
        let folder = tempfile::tempdir().unwrap();
        get(&short("/w-1.pth"), folder.path()).unwrap();
        assert_eq!(fs::read(folder.path().join("w-1.pth")).unwrap(), content);
        assert!(refused(&short("/cut/w-1.pth")).contains("cut short after 9 bytes"));
        let other = Remote {
            sha256: "00000000".into(),
            ..short("/w-1.pth")
        };
        assert!(refused(&other).contains("expected 00000000"));
    }

    #[test]
    fn what_was_there_stays_when_a_transfer_fails() {
        let host = serve(vec![("/x", ok(3, b"new"))]);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x"), "old").unwrap();
        assert!(
            get(
                &remote(format!("{host}/x"), b"not", Kind::File),
                folder.path()
            )
            .is_err()
        );
        assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    fn header(path: &str, kind: EntryType, size: u64) -> tar::Header {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        header
    }

    fn archive(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, content) in entries {
            builder
                .append(&header(path, *kind, content.len() as u64), *content)
                .unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn archives_are_unpacked_and_merged() {
        let tar = archive(&[
            ("set/", EntryType::Directory, b""),
            ("set/a.bin", EntryType::Regular, b"one"),
            ("set/deep/b.bin", EntryType::Regular, b"two"),
        ]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&tar).unwrap();
        let gzip = gzip.finish().unwrap();
        let host = serve(vec![
            ("/x.tar", ok(tar.len(), &tar)),
            ("/x.tar.gz", ok(gzip.len(), &gzip)),
        ]);
        let folder = tempfile::tempdir().unwrap();
        get(
            &remote(format!("{host}/x.tar"), &tar, Kind::Tar),
            folder.path(),
        )
        .unwrap();
        get(
            &remote(format!("{host}/x.tar.gz"), &gzip, Kind::TarGz),
            folder.path(),
        )
        .unwrap();
        assert_eq!(
            fs::read(folder.path().join("set/deep/b.bin")).unwrap(),
            b"two"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn archives_that_reach_outside_are_refused() {
        let good: (&str, EntryType, &[u8]) = ("set/a.bin", EntryType::Regular, b"one");
        for (entry, reason) in [
            (
                ("../evil", EntryType::Regular, &b"x"[..]),
                "`../evil` leaves its folder",
            ),
            (
                ("set/../../evil", EntryType::Regular, b"x"),
                "leaves its folder",
            ),
            (
                ("/tmp/evil", EntryType::Regular, b"x"),
                "`/tmp/evil` leaves its folder",
            ),
            (
                ("set/link", EntryType::Symlink, b""),
                "`set/link` is a link",
            ),
            (("set/hard", EntryType::Link, b""), "is a link"),
            (
                ("set/dev", EntryType::Char, b""),
                "neither a file nor a folder",
            ),
            (
                ("set/pipe", EntryType::Fifo, b""),
                "neither a file nor a folder",
            ),
            (
                ("set/a.bin", EntryType::Regular, b"twice"),
                "cannot be written",
            ),
        ] {
            let tar = archive(&[good, entry]);
            let host = serve(vec![("/x.tar", ok(tar.len(), &tar))]);
            let error = refused(&remote(format!("{host}/x.tar"), &tar, Kind::Tar));
            assert!(error.contains(reason), "{error}");
        }
        let tar = archive(&[good]);
        let cut = &tar[..514];
        let host = serve(vec![("/x.tar", ok(cut.len(), cut))]);
        let error = refused(&remote(format!("{host}/x.tar"), cut, Kind::Tar));
        assert!(error.contains("damaged archive"), "{error}");
        let zeros = vec![0; 1 << 20];
        let tar = archive(&[("set/zeros", EntryType::Regular, &zeros)]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&tar).unwrap();
        let gzip = gzip.finish().unwrap();
        let host = serve(vec![("/x.tar.gz", ok(gzip.len(), &gzip))]);
        let error = refused(&remote(format!("{host}/x.tar.gz"), &gzip, Kind::TarGz));
        assert!(error.contains("more than 20 times"), "{error}");
    }
}
