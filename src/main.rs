//! The binary: reads what it was told, starts it, waits to be stopped.

use clap::{Args, Parser, Subcommand};
use raxx_console::server::commands::{self, AuditCommand, DatabaseCommand, OperatorCommand, TokenCommand};
use raxx_console::server::config::Config;
use raxx_console::server::demo::{self, DemoOptions};
use raxx_console::server::doctor;
use raxx_console::server::run::{self, StartError};
use raxx_console::server::signature::Secret;
use raxx_console::server::telemetry;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// A deploy console for GitHub Actions: press Deploy, type the site's name, watch the run land.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the console (also without a word). The environment configures it: see docs/configuration.md.
    Serve,
    /// Serve a demo: four sites, and a stand-in for GitHub on loopback.
    Demo(DemoArgs),
    /// Look whether deploys would work, and say how to mend what is in their way. Exit code 1 for warnings, 2 for errors.
    Doctor(DoctorArgs),
    /// Print a new secret for `CONSOLE_CALLBACK_SECRET`.
    Secret,
    /// Say who may come in. The server may run meanwhile.
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Make, list and revoke API tokens. The server may run meanwhile.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Check or print the audit trail. The server may run meanwhile.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Back the database up, or copy it into another one: see docs/database.md.
    #[command(subcommand)]
    Db(DatabaseCommand),
}

#[derive(Args)]
struct DemoArgs {
    /// The console's port; 0 takes a free one.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// The stand-in's port; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    github_port: u16,
    /// Folder for the database, kept afterwards; without it the demo forgets.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Another console.toml than the demo's own.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Milliseconds of one beat of a played run.
    #[arg(long, default_value_t = 400)]
    pace: u64,
    /// Start the stand-in alone, for the console at --console-url. `CONSOLE_CALLBACK_SECRET` is its secret.
    #[arg(long, requires = "console_url", conflicts_with = "github_url")]
    stand_in_only: bool,
    /// Where the stand-in sends callbacks, with --stand-in-only.
    #[arg(long)]
    console_url: Option<String>,
    /// Use a stand-in that runs already. `CONSOLE_CALLBACK_SECRET` is its secret.
    #[arg(long)]
    github_url: Option<String>,
}

#[derive(Args)]
struct DoctorArgs {
    /// The slug of the one site to look at; every site unless given.
    site: Option<String>,
    /// Also send the running console a signed callback, which leaves no trace.
    #[arg(long)]
    callback: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        None | Some(Command::Serve) => serve().await,
        Some(Command::Demo(args)) => demo(args).await,
        Some(Command::Doctor(args)) => return doctor(args).await,
        Some(Command::Secret) => secret(),
        Some(Command::Operator(command)) => commands::operator(command).await,
        Some(Command::Token(command)) => commands::token(command).await,
        Some(Command::Db(command)) => commands::database(command).await,
        Some(Command::Audit(command)) => match commands::audit(command).await {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::FAILURE,
            Err(error) => Err(error),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("raxx-console: {error}");
            ExitCode::from(2)
        }
    }
}

async fn serve() -> Result<(), StartError> {
    telemetry::start("info");
    let running = run::start(Config::from_env()?, None).await?;
    match running.set_up() {
        Some(link) => println!("Nobody can come in yet. Become the first admin, within an hour: {link}"),
        None => println!("Open http://{}/", running.addr()),
    }
    run::asked_to_stop().await?;
    running.stop().await;
    Ok(())
}

async fn demo(args: DemoArgs) -> Result<(), StartError> {
    telemetry::start("warn");
    let options = DemoOptions {
        port: args.port,
        github_port: args.github_port,
        data: args.data,
        config: args.config,
        pace: Duration::from_millis(args.pace),
        github_url: args.github_url,
    };
    if let (true, Some(console_url)) = (args.stand_in_only, args.console_url) {
        let stand_in = demo::start_stand_in_alone(&options, console_url).await?;
        println!("GitHub stand-in {}/", stand_in.url());
        run::asked_to_stop().await?;
        return Ok(());
    }
    let demo = demo::start(&options).await?;
    println!("GitHub stand-in {}/", demo.stand_in_url());
    println!("Open {}", demo.url());
    run::asked_to_stop().await?;
    demo.stop().await;
    Ok(())
}

async fn doctor(args: DoctorArgs) -> ExitCode {
    let options = doctor::Options {
        site: args.site,
        callback: args.callback,
    };
    let report = doctor::run(&options, &|name| std::env::var(name).ok()).await;
    if args.json {
        println!("{}", report.to_json());
    } else {
        println!("{report}");
    }
    ExitCode::from(report.exit_code())
}

fn secret() -> Result<(), StartError> {
    let secret = Secret::generate().map_err(|error| std::io::Error::other(error.to_string()))?;
    println!("{}", secret.expose());
    Ok(())
}
