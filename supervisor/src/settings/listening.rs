//! Where to listen, as several options say it together.

use std::path::Path;

use crate::address::Address;
use crate::cli;

/// Where to listen, and whether anybody said so. What is said more strongly wins: a `PORT` of the environment over
/// `listen` in the file. Said in the same place, `--listen` and `--socket` win over `--host` and `--port`.
pub(super) fn addresses(
    parsed: &cli::Parsed,
    directory: &Path,
    warnings: &mut Vec<String>,
) -> Result<(Vec<Address>, bool), String> {
    let options = &parsed.options.listen;
    let finish = |address: Address| address.anchored(directory).with_default_mode(options.socket_mode);
    let plain = parsed.rank("host").max(parsed.rank("port"));
    let (socket, listen) = (parsed.rank("socket"), parsed.rank("listen"));
    if socket == listen && socket > 0 {
        return Err("Cannot specify both 'listen' and 'socket' options".to_owned());
    }
    let strongest = socket.max(listen);
    if strongest > 0 && plain > 0 {
        let (kept, ignored) = match plain > strongest {
            true => ("--host or --port", "--listen and --socket are"),
            false => ("--listen or --socket", "--host and --port are"),
        };
        warnings.push(format!("{ignored} ignored because {kept} is given"));
    }
    if strongest == 0 || plain > strongest {
        let host = options.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        return Ok((vec![Address::tcp(host, options.port)], plain > 0));
    }
    let chosen = match (&options.socket, socket > listen) {
        (Some(path), true) => vec![Address::unix(path)],
        _ => options.listen.clone(),
    };
    Ok((chosen.into_iter().map(finish).collect(), true))
}
