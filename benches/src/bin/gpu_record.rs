//! Measures everything on the GPU of this machine and writes a record: the binary of `cargo xtask cuda bundle`.

use std::path::PathBuf;
use std::process::ExitCode;

use coact_benches::gpu::{Request, empty_page, run};

const HELP: &str = "\
Usage: gpu-record --out DIR [--quick] [--device N] [--python PATH] [--peers LIST] [--parts LIST]
                        [--bundle DIR]
       gpu-record --empty-page

Runs the comparisons of the GPU kernels with the processor, sanitizers where they are installed, and the tables T1, T2, T4,
T5, T7 and T10, beside PyTorch and JAX where they are installed, and writes raw.json and README.md into DIR.

  --quick        shorter repetitions: a look, not a claim
  --device N     number of the GPU (0)
  --python PATH  Python with the packages of the peers (python3)
  --peers LIST   of torch and jax; both without this
  --parts LIST   of parity, T10, sanitizers, T1, T2, T4, T5 and T7; the others stay as an earlier run left them in DIR
  --bundle DIR   where gpu-tests, peers/ and commit.txt are (the folder of this binary)
  --empty-page   prints the page of a record that has nothing in it yet, and ends

Example: ./gpu-record --out record-of-today";

/// Names with commas between them.
fn list(text: String) -> Vec<String> {
    text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn parse(args: &[String]) -> Result<Request, String> {
    let here = std::env::current_exe().ok().and_then(|path| path.parent().map(PathBuf::from));
    let mut request = Request {
        out: PathBuf::new(),
        bundle: here.unwrap_or_default(),
        ordinal: 0,
        quick: false,
        parts: Vec::new(),
        python: PathBuf::from("python3"),
        peers: vec!["torch".to_owned(), "jax".to_owned()],
    };
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let mut value = || rest.next().cloned().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--quick" => request.quick = true,
            "--out" => request.out = PathBuf::from(value()?),
            "--bundle" => request.bundle = PathBuf::from(value()?),
            "--python" => request.python = PathBuf::from(value()?),
            "--device" => request.ordinal = value()?.parse().map_err(|e| format!("--device: {e}"))?,
            "--peers" => request.peers = list(value()?),
            "--parts" => request.parts = list(value()?),
            other => return Err(format!("unknown option `{other}`\n{HELP}")),
        }
    }
    if request.out.as_os_str().is_empty() {
        return Err(HELP.to_owned());
    }
    Ok(request)
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|a| a == "--help" || a == "-h") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    if args == ["--empty-page"] {
        print!("{}", empty_page());
        return ExitCode::SUCCESS;
    }
    let request = match parse(&args) {
        Ok(request) => request,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    match run(request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}
