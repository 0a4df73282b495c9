//! `pagictl`: asks a running `pagi-server`.

fn main() {
    std::process::exit(pagi_supervisor::control::command::main(std::env::args_os()));
}
