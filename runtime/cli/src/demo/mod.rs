//! `millrace demo`: the shopstream scenario on one machine, from HTTP in to database out, and a count of what arrived.

mod orders;
mod shop;
mod totals;

use std::time::{Duration, Instant};

use millrace_api::{Error, ErrorKind, Result};

use crate::args::Demo;
use crate::output::{data, note};
use crate::standalone::stop_signal;
use orders::Orders;
use shop::Shop;
use totals::Totals;

/// How long after the last order everything must have arrived.
const ARRIVAL: Duration = Duration::from_mins(1);

/// Orders a second when no number was asked for.
const RATE: u64 = 20;

/// Runs the demo.
pub(crate) async fn run(args: Demo) -> Result<()> {
    let began = Instant::now();
    let shop = Shop::start(&args).await?;
    let start_millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let machine = args.json;
    note(machine, &format!("shopstream runs in {} (started in {start_millis} ms)", shop.data().display()));
    note(machine, &format!("  orders     POST {}", shop.orders_url()));
    note(machine, &format!("  REST API   {}/connectors", shop.rest_url()));
    note(machine, &format!("  metrics    {}/metrics", shop.rest_url()));
    let mut orders = Orders::resume(shop.data(), shop.orders_url())?;
    if orders.sent() > 0 {
        note(machine, &format!("going on after {} orders of earlier runs", orders.sent()));
    }
    let outcome = tokio::select! {
        outcome = drive(&args, &shop, &mut orders) => outcome,
        () = stop_signal() => Ok(None),
    };
    // What was sent is remembered on every way out, so that the next run goes on from here.
    orders.save()?;
    let totals = match outcome {
        Ok(Some(totals)) => totals,
        Ok(None) => Totals::read(&shop, &orders).await?,
        Err(error) => {
            shop.stop().await;
            return Err(error);
        }
    };
    note(machine, &totals.table());
    let line = totals.line(start_millis);
    shop.stop().await;
    data(&line);
    if args.exit && !totals.complete() {
        return Err(Error::new(ErrorKind::Timeout, "not everything arrived within a minute"));
    }
    Ok(())
}

/// Sends orders and watches them arrive. `None` when there is no end to wait for.
async fn drive(args: &Demo, shop: &Shop, orders: &mut Orders) -> Result<Option<Totals>> {
    let Some(count) = args.orders else {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            tick.tick().await;
            orders.send(RATE).await?;
            note(args.json, &Totals::read(shop, orders).await?.progress());
        }
    };
    let mut left = count;
    while left > 0 {
        let now = left.min(500);
        orders.send(now).await?;
        left -= now;
        note(args.json, &Totals::read(shop, orders).await?.progress());
    }
    let deadline = Instant::now() + ARRIVAL;
    loop {
        let totals = Totals::read(shop, orders).await?;
        if totals.complete() || Instant::now() > deadline {
            if args.exit {
                return Ok(Some(totals));
            }
            note(args.json, &totals.table());
            note(args.json, "Ctrl-C stops");
            std::future::pending::<()>().await;
        }
        note(args.json, &totals.progress());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
