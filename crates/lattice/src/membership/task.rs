//! The tasks of a membership: one that beats, listens, answers and judges, one that reads inventories, and one for the hosts of
//! 2021.

mod era_hosts;
mod member;
mod readers;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::MembershipState;

/// The delay after a failure to subscribe.
const RETRY: Duration = Duration::from_millis(200);

#[derive(Clone, Copy)]
enum Task {
    Member,
    Era,
    Inventories,
}

/// Starts the tasks.
pub(super) fn spawn(shared: &Arc<MembershipState>) {
    for task in [Task::Member, Task::Era, Task::Inventories] {
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            let mut leaving = shared.leaving.subscribe();
            tokio::select! {
                () = run(&shared, task) => {}
                _ = leaving.wait_for(|is_leaving| *is_leaving) => {}
            }
            if matches!(task, Task::Member) {
                // The connection is closed: the other tasks end, too.
                shared.leaving.send_replace(true);
            }
        });
    }
}

/// Runs a task, and starts it again after a failure, until the connection is closed.
async fn run(shared: &Arc<MembershipState>, task: Task) {
    let connection = match task {
        Task::Inventories => return readers::read_inventories(shared).await,
        Task::Era => &shared.control,
        Task::Member => &shared.connection,
    };
    while connection.joined().await {
        let outcome = match task {
            Task::Era => era_hosts::hear(shared).await,
            _ => member::take_part(shared).await,
        };
        if let Err(error) = outcome {
            log::warn!("the host takes no part in the lattice and tries again: {error}");
        }
        sleep(RETRY).await;
    }
}
