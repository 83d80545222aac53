//! PURE. All links of one adapter: who may connect now, and when to scan.
//!
//! Invariants: at most one device is being connected, and the adapter does not scan meanwhile (a scan in full
//! swing breaks young links, and some controllers cannot do both); every waiting device gets its turn before
//! any gets a second one; scanning happens in windows, because every advert costs round trips on the bus, and
//! only while a device is missing or nothing is assigned yet; when more devices are there than the adapter
//! carries links, each keeps its link for a while and then gives way to the one that waits longest.
//! Must not know: D-Bus, btleplug.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use vitals::{Span, Time};

use super::link::{Action, Input, Limits, Link};
use super::slots::{Sharing, Slots};
use super::{Address, LinkState};

/// How long a scan lasts, and the pauses between scans.
#[derive(Clone, Copy, Debug)]
pub struct ScanWindows {
    /// Length of one scan.
    pub window: Span,
    /// Pause while an assigned device is missing.
    pub pause: Span,
    /// Pause while nothing is assigned: the scan then only counts what is around.
    pub idle_pause: Span,
}

impl Default for ScanWindows {
    fn default() -> Self {
        Self {
            window: Span::from_secs(10),
            pause: Span::from_secs(5),
            idle_pause: Span::from_secs(50),
        }
    }
}

/// What the adapter shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Start or stop scanning.
    Scan(bool),
    /// Connect, discover, subscribe; report each step as an [`Input`].
    Connect(Address),
    /// Close the link.
    Disconnect(Address),
}

/// The machine.
#[derive(Debug)]
pub struct Radio {
    limits: Limits,
    windows: ScanWindows,
    /// How long a link may stay while another device waits.
    hold: Span,
    slots: Slots,
    links: BTreeMap<Address, Link>,
    /// Whose turn it is; cut short only by its own outcome.
    connecting: Option<Address>,
    /// Whose turn it was last: the next one after it in address order is served next.
    last_served: Option<Address>,
    scanning: bool,
    /// When the scan began, or ended.
    scan_turned: Option<Time>,
    shown: BTreeMap<Address, LinkState>,
    commands: VecDeque<Command>,
}

impl Radio {
    /// A radio with no device assigned.
    #[must_use]
    pub fn new(limits: Limits, windows: ScanWindows, sharing: Sharing) -> Self {
        Self {
            limits,
            windows,
            hold: sharing.hold,
            slots: Slots::new(sharing.most),
            links: BTreeMap::new(),
            connecting: None,
            last_served: None,
            scanning: false,
            scan_turned: None,
            shown: BTreeMap::new(),
            commands: VecDeque::new(),
        }
    }

    /// Replaces the list of assigned devices; links of those that are gone are closed. True if it differs.
    pub fn assign(&mut self, devices: &BTreeSet<Address>, now: Time) -> bool {
        if self.links.keys().eq(devices) {
            self.plan(now);
            return false;
        }
        let gone: Vec<Address> = self
            .links
            .keys()
            .filter(|address| !devices.contains(*address))
            .copied()
            .collect();
        for address in gone {
            self.links.remove(&address);
            self.shown.remove(&address);
            self.commands.push_back(Command::Disconnect(address));
        }
        for address in devices {
            let limits = self.limits;
            self.links
                .entry(*address)
                .or_insert_with(|| Link::new(limits, now));
        }
        self.plan(now);
        true
    }

    /// True if the device is assigned here.
    #[must_use]
    pub fn is_assigned(&self, device: Address) -> bool {
        self.links.contains_key(&device)
    }

    /// Assigned devices that are connected.
    pub fn connected(&self) -> impl Iterator<Item = Address> + '_ {
        self.links
            .iter()
            .filter(|(_, link)| link.shown().0 == LinkState::Connected)
            .map(|(address, _)| *address)
    }

    /// Takes one input about a device; one that is not assigned is ignored.
    pub fn handle(&mut self, device: Address, input: Input, now: Time, jitter: u8) {
        if matches!(
            input,
            Input::ConnectFailed | Input::Subscribed { .. } | Input::Vanished | Input::Refused
        ) && self.connecting == Some(device)
        {
            self.connecting = None;
        }
        if let Some(link) = self.links.get_mut(&device) {
            let action = link.handle(input, now, jitter);
            self.act(device, action);
            if input == Input::ConnectFailed {
                self.slots.failed(self.up(), now);
            } else if matches!(
                input,
                Input::Subscribed {
                    characteristics: 1..,
                    ..
                }
            ) {
                self.slots.connected(self.up());
            }
        }
        // A value changes nothing about turns or scans: the common case stays cheap.
        if input != Input::Value {
            self.plan(now);
        }
    }

    /// Time passed.
    pub fn tick(&mut self, now: Time, jitter: u8) {
        let mut actions = Vec::new();
        for (address, link) in &mut self.links {
            actions.push((*address, link.tick(now, jitter)));
        }
        for (address, action) in actions {
            self.act(address, action);
        }
        self.plan(now);
    }

    /// The next thing to do.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The next link whose state changed since it was last told.
    pub fn poll_change(&mut self) -> Option<(Address, LinkState)> {
        let (address, state) = self.links.iter().find_map(|(address, link)| {
            let state = link.shown().0;
            (self.shown.get(address) != Some(&state)).then_some((*address, state))
        })?;
        self.shown.insert(address, state);
        Some((address, state))
    }

    /// When [`Radio::tick`] is due.
    #[must_use]
    pub fn next_deadline(&self, now: Time) -> Option<Time> {
        let turn = self.connecting.is_none() && self.has_place(now);
        let links = self
            .links
            .values()
            .filter_map(Link::next_deadline)
            // A link whose wait is over but whose turn has not come is not a reason to wake.
            .filter(|due| *due > now || turn)
            .min();
        let due = [self.scan_turn_due(), self.way_due(now)];
        links.into_iter().chain(due.into_iter().flatten()).min()
    }

    /// When a link must give way to a device that waits: `None` while there is room or nobody waits.
    fn way_due(&self, now: Time) -> Option<Time> {
        if self.has_place(now) || self.connecting.is_some() || self.next_turn(now).is_none() {
            return None;
        }
        self.longest_held().map(|(_, since)| since + self.hold)
    }

    fn has_place(&self, now: Time) -> bool {
        let held = self.up() + usize::from(self.connecting.is_some());
        self.slots.most(now).is_none_or(|most| held < most)
    }

    fn up(&self) -> usize {
        let links = self.links.values();
        links
            .filter(|link| link.subscribed_since().is_some())
            .count()
    }

    fn longest_held(&self) -> Option<(Address, Time)> {
        let links = self.links.iter();
        let held = links.filter_map(|(address, link)| Some((*address, link.subscribed_since()?)));
        held.min_by_key(|(_, since)| *since)
    }

    fn scan_turn_due(&self) -> Option<Time> {
        let turned = self.scan_turned?;
        if self.scanning {
            return Some(turned + self.windows.window);
        }
        let wanted = self.connecting.is_none() && self.wants_scan();
        wanted.then(|| turned + self.pause())
    }

    fn wants_scan(&self) -> bool {
        self.links.is_empty() || self.links.values().any(Link::wants_scan)
    }

    fn pause(&self) -> Span {
        if self.links.is_empty() {
            self.windows.idle_pause
        } else {
            self.windows.pause
        }
    }

    fn act(&mut self, device: Address, action: Option<Action>) {
        if let Some(Action::Disconnect) = action {
            self.commands.push_back(Command::Disconnect(device));
        }
    }

    fn plan(&mut self, now: Time) {
        // Chosen before a link gives way: the place is for who waited, not for who had it.
        let next = self.next_turn(now);
        let stuck = next.is_some_and(|next| self.links.get(&next).is_some_and(Link::is_stuck));
        if stuck && self.connecting.is_none() {
            self.slots.stuck(self.up(), now);
        }
        if self.way_due(now).is_some_and(|due| due <= now)
            && let Some((address, _)) = self.longest_held()
            && let Some(link) = self.links.get_mut(&address)
        {
            let action = link.give_way(now);
            self.act(address, Some(action));
        }
        if self.has_place(now)
            && self.connecting.is_none()
            && let Some(next) = next
        {
            self.turn_scan(false, now);
            if let Some(link) = self.links.get_mut(&next) {
                link.connect();
            }
            self.connecting = Some(next);
            self.last_served = Some(next);
            self.commands.push_back(Command::Connect(next));
        }
        if self.connecting.is_some() || !self.wants_scan() {
            self.turn_scan(false, now);
            return;
        }
        match self.scan_turned {
            None => self.turn_scan(true, now),
            Some(turned) if self.scanning => {
                if turned + self.windows.window <= now {
                    self.turn_scan(false, now);
                }
            }
            Some(turned) => {
                if turned + self.pause() <= now {
                    self.turn_scan(true, now);
                }
            }
        }
    }

    fn next_turn(&self, now: Time) -> Option<Address> {
        let mut waiting = self
            .links
            .iter()
            .filter(|(_, link)| link.wants_connect(now))
            .map(|(address, _)| *address);
        let first = waiting.clone().next();
        waiting
            .find(|address| Some(*address) > self.last_served)
            .or(first)
    }

    fn turn_scan(&mut self, on: bool, now: Time) {
        if self.scanning != on {
            self.scanning = on;
            self.scan_turned = Some(now);
            self.commands.push_back(Command::Scan(on));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: Address = Address([1; 6]);
    const B: Address = Address([2; 6]);
    const STREAM: Input = Input::Subscribed {
        characteristics: 1,
        streams: true,
    };

    fn at(seconds: i64) -> Time {
        Time::from_micros(0) + Span::from_secs(seconds)
    }

    fn radio(devices: &[Address]) -> Radio {
        let mut radio = Radio::new(
            Limits::default(),
            ScanWindows::default(),
            Sharing::default(),
        );
        radio.assign(&devices.iter().copied().collect(), at(0));
        radio
    }

    fn commands(radio: &mut Radio) -> Vec<Command> {
        std::iter::from_fn(|| radio.poll_command()).collect()
    }

    #[test]
    fn scan_stops_while_connecting_and_one_connects_at_a_time() {
        let mut radio = radio(&[A, B]);
        assert_eq!(commands(&mut radio), [Command::Scan(true)]);
        radio.handle(B, Input::Seen, at(1), 0);
        assert_eq!(
            commands(&mut radio),
            [Command::Scan(false), Command::Connect(B)]
        );
        radio.handle(A, Input::Seen, at(1), 0);
        assert_eq!(commands(&mut radio), []);
        radio.handle(B, Input::Connected, at(2), 0);
        radio.handle(B, STREAM, at(2), 0);
        assert_eq!(commands(&mut radio), [Command::Connect(A)]);
        radio.handle(A, STREAM, at(3), 0);
        assert_eq!(commands(&mut radio), []);
        assert_eq!(radio.connected().collect::<Vec<_>>(), [A, B]);
    }

    #[test]
    fn turns_are_fair() {
        let mut radio = radio(&[A, B]);
        radio.handle(A, Input::Seen, at(0), 0);
        radio.handle(B, Input::Seen, at(0), 0);
        commands(&mut radio);
        // A fails and is due again before B's turn ends: B is served first all the same.
        radio.handle(A, Input::ConnectFailed, at(10), 0);
        assert_eq!(commands(&mut radio)[1..], [Command::Connect(B)]);
        radio.handle(B, Input::ConnectFailed, at(20), 0);
        assert_eq!(
            commands(&mut radio),
            [Command::Disconnect(B), Command::Connect(A)]
        );
    }

    #[test]
    fn more_devices_than_links_take_turns() {
        let devices: Vec<Address> = (1..=5).map(|n| Address([n; 6])).collect();
        let mut radio = radio(&devices);
        let mut up = BTreeSet::new();
        let mut turns: BTreeMap<Address, u32> = BTreeMap::new();
        for second in 0..1200 {
            for device in &devices {
                radio.handle(*device, Input::Seen, at(second), 0);
                if up.contains(device) {
                    radio.handle(*device, Input::Value, at(second), 0);
                }
            }
            radio.tick(at(second), 0);
            while let Some(command) = radio.poll_command() {
                match command {
                    Command::Connect(device) if up.len() >= 2 => {
                        radio.handle(device, Input::ConnectFailed, at(second), 0);
                    }
                    Command::Connect(device) => {
                        up.insert(device);
                        *turns.entry(device).or_default() += 1;
                        radio.handle(device, STREAM, at(second), 0);
                    }
                    Command::Disconnect(device) => {
                        up.remove(&device);
                    }
                    Command::Scan(_) => {}
                }
            }
            assert!(up.len() <= 2);
            if second > 1 {
                assert_eq!(up.len(), 2, "a slot stays empty at {second}");
            }
        }
        // Twenty minutes, a minute each, two at a time: forty turns for five devices.
        let (least, most) = (turns.values().min(), turns.values().max());
        assert!(least >= Some(&7) && most <= Some(&9), "{turns:?}");
    }

    #[test]
    fn who_waits_for_a_place_does_not_keep_the_loop_turning() {
        let sharing = Sharing {
            most: Some(1),
            ..Sharing::default()
        };
        let mut radio = Radio::new(Limits::default(), ScanWindows::default(), sharing);
        radio.assign(&BTreeSet::from([A, B]), at(0));
        radio.handle(A, Input::Seen, at(0), 0);
        radio.handle(B, Input::Seen, at(0), 0);
        radio.handle(A, Input::ConnectFailed, at(0), 0);
        radio.handle(B, STREAM, at(0), 0);
        radio.tick(at(5), 0);
        // A's delay is over, and B may stay for a minute.
        assert!(radio.next_deadline(at(5)) > Some(at(5)));
    }

    #[test]
    fn a_listed_device_that_is_out_of_reach_does_not_keep_the_radio_busy() {
        let mut radio = radio(&[A]);
        radio.handle(A, Input::Seen, at(0), 0);
        radio.handle(A, Input::ConnectFailed, at(30), 0);
        radio.tick(at(31), 0);
        radio.handle(A, Input::ConnectFailed, at(60), 0);
        commands(&mut radio);
        for second in 61..300 {
            radio.tick(at(second), 0);
        }
        let all = commands(&mut radio);
        assert!(!all.contains(&Command::Connect(A)), "{all:?}");
        assert!(all.contains(&Command::Scan(true)), "it is looked for");
        radio.handle(A, Input::Seen, at(300), 0);
        assert!(commands(&mut radio).contains(&Command::Connect(A)));
    }

    #[test]
    fn unassigned_devices_are_never_connected() {
        let mut radio = radio(&[A]);
        commands(&mut radio);
        radio.handle(B, Input::Seen, at(1), 0);
        assert_eq!(commands(&mut radio), []);
        assert!(!radio.is_assigned(B) && radio.is_assigned(A));
    }

    #[test]
    fn an_assignment_taken_away_closes_the_link() {
        let mut radio = radio(&[A]);
        radio.handle(A, Input::Seen, at(0), 0);
        radio.handle(A, STREAM, at(1), 0);
        commands(&mut radio);
        radio.assign(&BTreeSet::from([B]), at(2));
        let all = commands(&mut radio);
        assert!(all.contains(&Command::Disconnect(A)));
        assert!(!radio.is_assigned(A));
    }

    #[test]
    fn scans_in_windows() {
        let mut radio = radio(&[A]);
        assert_eq!(commands(&mut radio), [Command::Scan(true)]);
        assert_eq!(radio.next_deadline(at(0)), Some(at(10)));
        radio.tick(at(10), 0);
        assert_eq!(commands(&mut radio), [Command::Scan(false)]);
        assert_eq!(radio.next_deadline(at(10)), Some(at(15)));
        radio.tick(at(15), 0);
        assert_eq!(commands(&mut radio), [Command::Scan(true)]);
    }

    #[test]
    fn changes_are_told_once() {
        let mut radio = radio(&[A]);
        assert_eq!(radio.poll_change(), Some((A, LinkState::Searching)));
        radio.handle(A, Input::Seen, at(0), 0);
        radio.handle(A, STREAM, at(1), 0);
        assert_eq!(radio.poll_change(), Some((A, LinkState::Connected)));
        assert_eq!(radio.poll_change(), None);
    }

    fn input() -> impl Strategy<Value = Input> {
        prop_oneof![
            Just(Input::Seen),
            Just(Input::ConnectFailed),
            Just(Input::Connected),
            Just(STREAM),
            Just(Input::Subscribed {
                characteristics: 0,
                streams: false
            }),
            Just(Input::Value),
            Just(Input::Dropped),
            Just(Input::Vanished),
            Just(Input::Refused),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever happens in whatever order: one attempt at a time, no scan beside it, and a device that
        /// keeps being seen gets its turn.
        #[test]
        fn keeps_its_promises(steps in proptest::collection::vec((0..4_u8, input(), 0..20_i64), 1..200)) {
            let mut radio = radio(&[A, B, Address([3; 6])]);
            let mut now = at(0);
            let (mut scanning, mut connecting) = (false, None);
            for (device, input, wait) in steps {
                now = now + Span::from_secs(wait);
                let device = Address([device; 6]);
                // The adapter reports the outcome of an attempt only for the device it is connecting.
                let outcome = matches!(
                    input,
                    Input::ConnectFailed | Input::Subscribed { .. } | Input::Refused
                );
                if outcome && connecting != Some(device) {
                    continue;
                }
                if outcome || (input == Input::Vanished && connecting == Some(device)) {
                    connecting = None;
                }
                radio.handle(device, input, now, 7);
                radio.tick(now, 7);
                while let Some(command) = radio.poll_command() {
                    match command {
                        Command::Scan(on) => scanning = on,
                        Command::Connect(device) => {
                            prop_assert_eq!(connecting, None);
                            prop_assert!(!scanning);
                            prop_assert!(radio.is_assigned(device));
                            connecting = Some(device);
                        }
                        Command::Disconnect(_) => {}
                    }
                }
                prop_assert!(!(scanning && connecting.is_some()));
                if let Some(due) = radio.next_deadline(now) {
                    prop_assert!(due > now, "would spin");
                }
            }
        }
    }
}
