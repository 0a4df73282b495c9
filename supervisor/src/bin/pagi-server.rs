//! `pagi-server`: serves PAGI applications.

fn main() {
    std::process::exit(pagi_supervisor::server::main(std::env::args_os()));
}
