//! An order on the command line: given to the running node, looked after until it has ended.

use std::process::ExitCode;
use std::time::Duration;

use tokio::time::Instant;

use super::local::Local;
use super::paint;
use super::pair::Given;
use crate::command::http::OrderForm;
use crate::command::{Answer, Command, Orders};
use crate::config::Config;

/// How long an order is looked after. A planned move is over within three seconds, or called off.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often.
const LOOK: Duration = Duration::from_millis(150);

/// Gives the order, and waits for what comes of it.
pub(super) async fn run(command: &Command, given: &Given) -> Result<ExitCode, String> {
    let config = Config::read(&given.config).map_err(|why| why.to_string())?;
    let local = Local::of(&config)?;
    let form = OrderForm {
        kind: command.name.to_owned(),
        domain: given.domain.clone(),
        from: given.from.clone(),
        by: Some(format!("{} via cli", who())),
    };
    let mut orders: Orders = local.give(&form).await?;
    if given.is_waiting {
        wait(&local, &mut orders).await?;
    }
    let is_good = orders.orders.iter().all(|order| order.is_done() || !given.is_waiting);
    let answer = Answer::Orders(orders);
    if given.is_json {
        paint::json(&answer)
    } else {
        paint::page(&answer.text())
    };
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Looks after the orders until all have ended, or patience has.
async fn wait(local: &Local, orders: &mut Orders) -> Result<(), String> {
    let until = Instant::now() + PATIENCE;
    let mut last_trouble = None;
    loop {
        for order in orders.orders.iter_mut().filter(|order| order.outcome.is_none()) {
            match local.order(&order.id).await {
                Ok(seen) => (*order, last_trouble) = (seen, None),
                Err(why) => last_trouble = Some(why),
            }
        }
        let Some(open) = orders.orders.iter().find(|order| order.outcome.is_none()) else {
            paint::progress("");
            return Ok(());
        };
        if Instant::now() >= until {
            paint::progress("");
            let seconds = PATIENCE.as_secs();
            let what = last_trouble.unwrap_or_else(|| open.sentence());
            return Err(format!("{what}; not ended within {seconds} s: see tandem-muc status and history"));
        }
        paint::progress(&open.sentence());
        tokio::time::sleep(LOOK).await;
    }
}

/// `USER@HOST`; of somebody who became root, the one he was before.
fn who() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let user =
        named.filter(|user| !user.is_empty()).unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    format!("{user}@{}", rustix::system::uname().nodename().to_string_lossy())
}
