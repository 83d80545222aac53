//! What the operators' desk takes, and what it refuses with which words.

use proto::seal::{Predecessor, Sealer};
use proto::v1::Collection;

use super::*;
use crate::ingest::rig::{BY, Rig, batches, receipted, seal};
use crate::journal::Opened;

#[tokio::test]
async fn a_patient_is_added_under_a_pseudonym_and_the_name_is_sealed() {
    let rig = Rig::new().await;
    let ann = rig
        .admin
        .add_patient("  Ann Example ", true)
        .await
        .expect("added");
    assert!(ann.patient.starts_with("p-") && ann.test_data && ann.assignments.is_empty());
    assert_eq!(ann.display_name, "Ann Example");
    let nameless = rig.admin.add_patient("", false).await.expect("added");
    assert_ne!(nameless.patient, ann.patient);
    let mut rig = rig.restart(None).await;
    let names: Vec<_> = rig
        .admin
        .patients()
        .into_iter()
        .map(|of| (of.patient, of.display_name))
        .collect();
    assert!(
        names.contains(&(ann.patient, "Ann Example".into())),
        "{}",
        names.len()
    );
    rig.journal.close().await;
    while rig.feed.recv().await.is_some() {}
    for folder in [rig.dir.store(), rig.dir.vault()] {
        for file in std::fs::read_dir(folder).expect("a folder") {
            let bytes = std::fs::read(file.expect("an entry").path()).expect("readable");
            assert!(!bytes.windows(11).any(|window| window == b"Ann Example"));
        }
    }
}

#[tokio::test]
async fn device_addresses_are_not_on_disk_in_clear() {
    let rig = Rig::new().await;
    let gateway = rig.gateway().await;
    let assigned = rig.assign(&gateway).await;
    let device = assigned.devices[0].clone();
    let bytes = |path| std::fs::read(path).expect("readable");
    let mut disk = bytes(rig.dir.journal());
    disk.extend(bytes(rig.dir.store().join("journal.db-wal")));
    assert!(
        disk.windows(16).any(|window| window == assigned.stream.0),
        "control: this is where it would be"
    );
    assert!(
        !disk
            .windows(device.len())
            .any(|window| window == device.as_bytes())
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_its_field_and_remedy() {
    let rig = Rig::new().await;
    let gateway = rig.gateway().await;
    let id = gateway.id.as_str();
    let ann = rig
        .admin
        .add_patient("Ann", true)
        .await
        .expect("added")
        .patient;
    let bob = rig
        .admin
        .add_patient("Bob", true)
        .await
        .expect("added")
        .patient;
    let one = "AA:BB:CC:DD:EE:01".to_owned();
    let say = async |patient: &str, gateway: &str, devices: &[&str]| {
        let devices: Vec<String> = devices.iter().map(|device| (*device).to_owned()).collect();
        let refused = rig.admin.assign(patient, gateway, &devices, BY).await;
        refused
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    assert_eq!(say(&ann, id, &[&one]).await, "", "control");
    for (text, named) in [
        (say("p-nobody", id, &[&one]).await, "patient list"),
        (say(&ann, "g-nobody", &[&one]).await, "gateway list"),
        (say(&ann, "Not An Id", &[&one]).await, "gateway list"),
        (say(&ann, id, &["AA:BB"]).await, "AA:BB:CC:DD:EE:FF"),
        (
            say(&ann, id, &["AA:BB:CC:DD:EE:0\u{661}"]).await,
            "AA:BB:CC:DD:EE:FF",
        ),
        (say(&ann, id, &[&one, "aa:bb:cc:dd:ee:01"]).await, "twice"),
        (say(&bob, id, &[&one]).await, "another patient's"),
    ] {
        assert!(text.contains(named), "{text}");
        assert!(
            !text.contains(&ann) && !text.contains(&bob),
            "no error names a patient: {text}"
        );
    }
    let long = "x".repeat(201);
    for refused in [
        rig.admin.add_patient(&long, true).await.err(),
        rig.admin.add_patient("a\u{7}b", true).await.err(),
        rig.admin.create_token(&long, 0, BY).await.err(),
        rig.admin.create_token("x", u32::MAX, BY).await.err(),
        rig.admin.sign_in("", "").err(),
        rig.admin.revoke_certificate(Role::Gateway, "g").await.err(),
        rig.admin
            .revoke_certificate(Role::Platform, " ")
            .await
            .err(),
    ] {
        assert!(
            matches!(refused, Some(AdminError::Invalid { .. })),
            "{refused:?}"
        );
    }
    assert!(matches!(
        rig.admin.revoke("g-nobody", BY).await,
        Err(AdminError::NotFound { .. })
    ));
    rig.admin.revoke(id, BY).await.expect("revoked");
    assert!(
        say(&bob, id, &["AA:BB:CC:DD:EE:02"])
            .await
            .contains("revoked")
    );
}

/// What was opened for one assignment is kept for the next ones, and must not outlive what it was opened from.
#[tokio::test]
async fn a_device_is_whose_it_is_now_after_lists_changed() {
    let rig = Rig::new().await;
    let gateway = rig.gateway().await;
    let mut patients = Vec::new();
    for _ in 0..2 {
        let added = rig.admin.add_patient("", true).await.expect("added");
        patients.push(added.patient);
    }
    let takes = async |patient: usize, device: &str| {
        let devices: Vec<_> = device.split_terminator(' ').map(str::to_owned).collect();
        let id = gateway.id.as_str();
        let taken = rig.admin.assign(&patients[patient], id, &devices, BY).await;
        taken.is_ok()
    };
    let (one, two) = ("AA:BB:CC:DD:EE:01", "AA:BB:CC:DD:EE:02");
    assert!(takes(0, one).await);
    assert!(!takes(1, one).await, "the first one's");
    assert!(takes(0, two).await);
    assert!(takes(1, one).await, "given up");
    assert!(!takes(0, one).await, "the other one's now");
    assert!(!takes(1, two).await, "the first one's still");
    assert!(takes(1, "").await, "an end");
    assert!(takes(0, one).await);
}

#[tokio::test]
async fn two_assignments_at_once_do_not_share_a_device() {
    let rig = Rig::new().await;
    let gateway = rig.gateway().await;
    let device = ["AA:BB:CC:DD:EE:01".to_owned()];
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let patient = rig
            .admin
            .add_patient("", true)
            .await
            .expect("added")
            .patient;
        let (admin, gateway, device) = (Arc::clone(&rig.admin), gateway.id.clone(), device.clone());
        calls.spawn(async move {
            admin
                .assign(&patient, gateway.as_str(), &device, BY)
                .await
                .is_ok()
        });
    }
    let taken = calls
        .join_all()
        .await
        .into_iter()
        .filter(|taken| *taken)
        .count();
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn an_assignment_that_changes_its_devices_keeps_its_stream_and_start() {
    let rig = Rig::new().await;
    let gateway = rig.gateway().await;
    let first = rig.assign(&gateway).await;
    let device = ["AA:BB:CC:DD:EE:09".to_owned()];
    let again = rig
        .admin
        .assign(&first.patient, gateway.id.as_str(), &device, BY)
        .await
        .expect("assigned");
    assert_eq!(again.stream, first.stream.to_string());
    let patient = rig.admin.patients().remove(0);
    assert_eq!(patient.assignments.len(), 1);
    assert_eq!(patient.assignments[0].devices, device);
    let elsewhere = rig.gateway().await;
    let other = rig
        .admin
        .assign(&first.patient, elsewhere.id.as_str(), &device, BY)
        .await
        .expect("assigned");
    assert_ne!(other.stream, again.stream);
}

#[tokio::test]
async fn a_device_is_one_patients_at_all_gateways() {
    let rig = Rig::new().await;
    let (home, clinic) = (rig.gateway().await, rig.gateway().await);
    let first = rig.assign(&home).await;
    let bob = rig.admin.add_patient("Bob", true).await.expect("added");
    let taken = rig
        .admin
        .assign(&bob.patient, clinic.id.as_str(), &first.devices, BY)
        .await
        .expect_err("another patient wears it")
        .to_string();
    for named in [first.devices[0].as_str(), home.id.as_str(), "--end"] {
        assert!(taken.contains(named), "{taken}");
    }
    assert!(!taken.contains(&first.patient) && !taken.contains("Ann"));
    // Control: the same patient may be at home and at the clinic.
    let both = rig
        .admin
        .assign(&first.patient, clinic.id.as_str(), &first.devices, BY);
    both.await.expect("one wearer");
    for gateway in [&home, &clinic] {
        let end = rig
            .admin
            .assign(&first.patient, gateway.id.as_str(), &[], BY);
        end.await.expect("ended");
    }
    let now_bobs = rig
        .admin
        .assign(&bob.patient, clinic.id.as_str(), &first.devices, BY);
    now_bobs.await.expect("free again");
}

#[tokio::test]
async fn a_gateway_that_was_revoked_keeps_no_device() {
    let rig = Rig::new().await;
    let (lost, new) = (rig.gateway().await, rig.gateway().await);
    let first = rig.assign(&lost).await;
    let bob = rig.admin.add_patient("Bob", true).await.expect("added");
    rig.admin
        .revoke(lost.id.as_str(), BY)
        .await
        .expect("revoked");
    let assigned = rig
        .admin
        .assign(&bob.patient, new.id.as_str(), &first.devices, BY);
    assigned.await.expect("nobody collects it");
}

#[tokio::test]
async fn no_device_is_assigned_for_a_time_that_has_passed() {
    let mut rig = Rig::new().await;
    let gateway = rig.gateway().await;
    let first = rig.assign(&gateway).await;
    let at = gateway.id.as_str();
    let begin = rig.admin.patients()[0].assignments[0].effective_from_us;
    let mut devices = first.devices.clone();
    devices.push("AA:BB:CC:DD:EE:09".into());
    let before = Clock::system().now().as_micros();
    let more = rig.admin.assign(&first.patient, at, &devices, BY).await;
    let more = more.expect("assigned");
    assert!(
        more.effective_from_us >= before,
        "the new device begins now"
    );
    let end = rig.admin.assign(&first.patient, at, &[], BY).await;
    assert_eq!(
        end.expect("ended").effective_from_us,
        begin,
        "backlog is taken"
    );
    let again = rig.admin.assign(&first.patient, at, &devices, BY).await;
    let again = again.expect("assigned");
    assert!(again.effective_from_us >= more.effective_from_us);
    assert_ne!(again.stream, first.stream.to_string(), "a new stretch");
    let nothing = rig.admin.assign(&first.patient, at, &[], BY).await;
    nothing.expect("ended");
    let twice = rig.admin.assign(&first.patient, at, &[], BY).await;
    assert!(matches!(twice, Err(AdminError::Conflict(_))));
    let streams = rig.admin.patients().remove(0).assignments;
    assert_eq!(streams.len(), 2);
    assert!(
        streams.iter().any(|of| of.effective_from_us == begin),
        "the first stretch keeps its begin"
    );
    // What the fold hears: the whole list and a begin that is not before the entry that names it.
    let mut lists = Vec::new();
    while let Ok(committed) = rig.feed.try_recv() {
        if let (Entry::Assigned { from, .. }, Some(Opened::Devices(list))) =
            (&*committed.entry, committed.body.as_deref())
        {
            lists.push(list.len());
            let late = committed.known.since(*from) > Span::from_secs(60);
            assert!(!late, "a begin lies at its entry");
        }
    }
    assert_eq!(lists, [1, 2, 0, 2, 0]);
}

#[tokio::test]
async fn a_new_key_is_told_to_the_gateways_and_the_former_ones_go_on_opening() {
    let rig = Rig::new().await;
    let (home, lost) = (rig.gateway().await, rig.gateway().await);
    let first = rig.assign(&home).await;
    let at_lost = rig
        .admin
        .assign(&first.patient, lost.id.as_str(), &first.devices, BY)
        .await;
    at_lost.expect("assigned");
    rig.admin
        .revoke(lost.id.as_str(), BY)
        .await
        .expect("revoked");
    let session = rig.session(&home);
    let keys = |rig: &Rig| {
        let patient = rig.admin.patients().remove(0);
        let mut of = patient.assignments.into_iter();
        let sealed_to = of.find(|of| of.gateway == home.id.as_str());
        (
            patient.key_generation,
            sealed_to.expect("assigned").key_generation,
        )
    };
    let now = Clock::system().now();
    let (open, mut before) = home.open(&first, None, now);
    rig.say(&session, open).await;
    assert_eq!(keys(&rig), (1, 1));
    let (_, number) = rig.ingest.commands(&home.id, 0);

    let rotated = rig.admin.rotate_key(&first.patient).await.expect("rotated");
    assert_eq!(
        (rotated.key_generation, rotated.assignments),
        (2, 1),
        "not the gateway that was revoked"
    );
    assert!(!rig.ingest.may_write(&lost.id));
    let (commands, newer) = rig.ingest.commands(&home.id, number);
    assert!(commands.len() == 1 && newer > number);
    let second = rig.assigned(&home, &first.patient);
    assert_eq!(
        (&second.devices, second.stream),
        (&first.devices, first.stream)
    );
    assert_ne!(second.key_id, first.key_id);
    assert_eq!(keys(&rig), (2, 1), "it did not seal to it yet");
    // What is sealed to the former key is taken: of its context, and of one that was opened before the gateway heard.
    let after = |sealer: &Sealer| Predecessor {
        context: sealer.context(),
        durable: 0,
        durable_at: Time::ZERO,
        receipted: 0,
        receipt_epoch: 0,
    };
    let (open, mut between) = home.open(&first, Some(after(&before)), now);
    rig.say(&session, open).await;
    let (open, mut newest) = home.open(&second, Some(after(&between)), now);
    rig.say(&session, open).await;
    assert_eq!(keys(&rig), (2, 2));
    for sealer in [&mut before, &mut between, &mut newest] {
        let record = seal(sealer);
        let answers = rig.say(&session, batches(vec![record.clone()])).await;
        assert!(receipted(&answers, sealer, &[record]));
    }
    let unknown = rig.admin.rotate_key("p-nobody").await;
    assert!(matches!(unknown, Err(AdminError::NotFound { .. })));
}

#[tokio::test]
async fn a_pause_ends_every_stream_and_the_patients_word_begins_new_ones() {
    let mut rig = Rig::new().await;
    let (home, clinic) = (rig.gateway().await, rig.gateway().await);
    let first = rig.assign(&home).await;
    let (ann, device) = (&first.patient, &first.devices);
    let at_clinic = rig.admin.assign(ann, clinic.id.as_str(), device, BY).await;
    let at_clinic = at_clinic.expect("assigned").stream;
    let live = |rig: &Rig| {
        let assignments = rig.admin.patients().remove(0).assignments;
        let live = assignments.into_iter().filter(|of| !of.devices.is_empty());
        live.map(|of| (of.gateway, of.stream)).collect::<Vec<_>>()
    };
    assert_eq!(live(&rig).len(), 2, "control");
    let say = |collection| rig.admin.set_collection(ann, collection, false, BY);
    say(Collection::Given)
        .await
        .expect_err("it is given already");
    say(Collection::Paused).await.expect("paused");
    assert!(live(&rig).is_empty());
    say(Collection::Paused)
        .await
        .expect_err("it is paused already");
    let assigned = rig.admin.assign(ann, home.id.as_str(), device, BY).await;
    let refused = assigned.expect_err("nobody measures behind the patient's back");
    assert!(refused.to_string().contains("patient resume"), "{refused}");

    // The next life knows it, too; and a withdrawal takes over from a pause.
    rig = rig.restart(None).await;
    assert_eq!(rig.admin.patients()[0].collection(), Collection::Paused);
    let erase = rig
        .admin
        .set_collection(ann, Collection::Withdrawn, true, BY);
    erase.await.expect("withdrawn");
    for stream in [&first.stream.to_string(), &at_clinic] {
        let registry = rig.books.registry();
        let id = registry
            .streams()
            .find(|(id, _)| id.to_string() == **stream);
        assert!(registry.is_erased(id.expect("it is known").0), "{stream}");
    }
    let wrong = rig
        .admin
        .set_collection(ann, Collection::Given, true, BY)
        .await;
    assert!(matches!(wrong, Err(AdminError::Invalid { .. })));
    rig.admin
        .revoke(clinic.id.as_str(), BY)
        .await
        .expect("revoked");
    let again = rig.admin.set_collection(ann, Collection::Given, false, BY);
    again.await.expect("given");
    let again = live(&rig);
    assert_eq!(again.len(), 1, "not at a gateway that was revoked");
    assert_eq!(again[0].0, home.id.as_str());
    assert_ne!(again[0].1, first.stream.to_string(), "a new stretch");
    assert!(!rig.books.registry().is_erased(first.stream));
}

#[tokio::test]
async fn settings_are_toml_for_a_gateway_that_is_there() {
    let rig = Rig::new().await;
    let gateway = rig.gateway().await;
    let id = gateway.id.as_str();
    for (settings, named) in [("heartbeat_s = ", "TOML"), (&"#".repeat(4097), "4096")] {
        let refused = rig.admin.configure(id, settings, BY).await;
        let refused = refused.expect_err("no settings").to_string();
        assert!(refused.contains(named), "{refused}");
    }
    assert!(rig.admin.configure("g-nobody", "", BY).await.is_err());
    let number = rig
        .admin
        .configure(id, "heartbeat_s = 60", BY)
        .await
        .expect("sent");
    let status = rig.admin.status();
    assert_eq!(status.gateways[0].configuration_number, number);
    let (commands, _) = rig.ingest.commands(&gateway.id, 0);
    assert_eq!(commands.len(), 1);
    let newer = rig.admin.configure(id, "", BY).await.expect("sent");
    assert!(newer > number);
    let (commands, highest) = rig.ingest.commands(&gateway.id, 0);
    assert_eq!((commands.len(), highest), (1, newer), "the last ones alone");
    assert!(rig.ingest.commands(&gateway.id, newer).0.is_empty());
}

#[tokio::test]
async fn status_says_what_a_person_has_to_do_next() {
    let rig = Rig::new().await;
    let next = |rig: &Rig| rig.admin.status().gateways[0].waiting_for.clone();
    rig.admin
        .create_token("later", 0, BY)
        .await
        .expect("a token");
    assert!(next(&rig).contains("vitaltwin-agent enrol"));
    let rig = Rig::new().await;
    let gateway = rig.gateway().await;
    assert!(next(&rig).contains("patient assign"));
    rig.assign(&gateway).await;
    assert!(next(&rig).contains("start its agent"));
    let _session = rig.session(&gateway);
    assert_eq!(next(&rig), "", "ready");
    assert!(rig.admin.status().warnings.is_empty());
}

#[tokio::test]
async fn people_are_added_once_and_what_makes_no_sense_is_refused() {
    use proto::v1::StaffRole;

    let rig = Rig::new().await;
    let admin = &rig.admin;
    let added = admin
        .add_person("  Ann  Lee ", StaffRole::Nurse, "olga")
        .await;
    let added = added.expect("added");
    assert_eq!(
        (added.name.as_str(), added.role()),
        ("Ann Lee", StaffRole::Nurse)
    );
    let ann = admin.add_patient("Ann", true).await.expect("added").patient;
    assert!(
        admin
            .status()
            .warnings
            .iter()
            .any(|said| said.contains("nobody at the page")),
        "a patient whom nobody would answer for"
    );
    let say = async |change| admin.change_team("Ward", Some(change), "olga").await;
    say(TeamChange::Make(true)).await.expect("made");
    say(TeamChange::Take(ann.clone())).await.expect("a patient");
    let team = say(TeamChange::Join("ann lee".into()))
        .await
        .expect("a person");
    assert_eq!(
        (team.people, team.patients),
        (vec!["Ann Lee".into()], vec![ann])
    );
    assert!(
        !admin
            .status()
            .warnings
            .iter()
            .any(|said| said.contains("nobody at the page"))
    );

    let refused = [
        admin
            .add_person("ann lee", StaffRole::Doctor, "olga")
            .await
            .err(),
        admin
            .add_person("Operator olga", StaffRole::Doctor, "olga")
            .await
            .err(),
        admin
            .add_person("Ben", StaffRole::Unspecified, "olga")
            .await
            .err(),
        admin.set_role("Ben", StaffRole::Doctor, "olga").await.err(),
        admin.revoke_person("Ben", "olga").await.err(),
        say(TeamChange::Join("Ben".into())).await.err(),
        say(TeamChange::Take("p-404".into())).await.err(),
        say(TeamChange::Make(true)).await.err(),
        admin
            .change_team("None", Some(TeamChange::End(true)), "olga")
            .await
            .err(),
        admin.change_team("Ward", None, "olga").await.err(),
    ];
    assert!(refused.iter().all(Option::is_some), "{refused:?}");

    admin
        .revoke_person("Ann Lee", "olga")
        .await
        .expect("revoked");
    let again = admin.add_person("ANN LEE", StaffRole::Nurse, "olga").await;
    let again = again.expect_err("the name is spent").to_string();
    assert!(again.contains("revoked"), "{again}");
    assert!(
        admin.sign_in("Ann Lee", "").is_err(),
        "no link for who was revoked"
    );
    assert!(admin.teams()[0].people.is_empty());
}

/// Ann until two minutes from now, by the wall in UTC, and Ben from then on.
fn shifts(now: Time) -> (String, Time) {
    let wall = |at: Time| {
        let at = jiff::Timestamp::from_microsecond(at.as_micros()).expect("in range");
        at.strftime("%Y-%m-%d %H:%M").to_string()
    };
    let minute = Time::from_micros(now.as_micros() / 60_000_000 * 60_000_000);
    let change = minute + Span::from_mins(2);
    let one = |name: &str, from: Time, until: Time| {
        format!(
            "[[exceptions]]\nname = \"{name}\"\nduty = \"nurse\"\nfrom = \"{}\"\nuntil = \"{}\"\npeople = [\"{name}\", \"Eve\"]\n",
            wall(from),
            wall(until)
        )
    };
    let hour = Span::from_mins(60);
    let text = [
        "format = \"roster/1\"\ntime_zone = \"UTC\"\n".to_owned(),
        one("Ann", change - hour, change),
        one("Ben", change, change + hour),
    ];
    (text.concat(), change)
}

#[tokio::test]
async fn a_shift_is_taken_over_by_whoever_comes_and_by_nobody_else() {
    use proto::v1::{Duty, StaffRole};

    let rig = Rig::new().await;
    let admin = &rig.admin;
    for (name, role) in [
        ("Ann", StaffRole::Nurse),
        ("Ben", StaffRole::Nurse),
        ("Cy", StaffRole::Nurse),
        ("Sue", StaffRole::Supervisor),
    ] {
        admin.add_person(name, role, "o").await.expect("added");
    }
    for change in [
        TeamChange::Make(true),
        TeamChange::Join("Ann".into()),
        TeamChange::Join("Ben".into()),
    ] {
        let changed = admin.change_team("Home", Some(change), "o").await;
        changed.expect("changed");
    }
    let (document, change) = shifts(admin.parts.clock.now());
    let said = |error: AdminError| error.to_string();
    let unread = admin.set_roster("Home", "format = 1", "Sue").await;
    assert!(
        unread
            .map_err(said)
            .is_err_and(|why| why.contains("document"))
    );
    let set = admin.set_roster("home", &document, "Sue").await;
    let set = set.expect("set");
    assert_eq!((set.by.as_str(), set.team.as_str()), ("Sue", "Home"));
    assert_eq!(set.now[0].able, ["Ann"]);
    assert_eq!(set.next[0].leaving, ["Ann", "Eve"]);
    assert!(set.next[0].handover && !set.now[0].handover);
    assert!(set.remarks.iter().any(|of| of.starts_with("Eve: nobody")));

    let asker = |name: &'static str, role| Asker {
        name,
        role: Some(role),
    };
    let take = async |shift, name, role| {
        let taken = admin
            .take_over("Home", Duty::Nurse, shift, asker(name, role))
            .await;
        taken.map_err(said)
    };
    let nurse = StaffRole::Nurse;
    for (name, shift, why) in [
        ("Ann", change, "names Ben, Eve"),
        ("Cy", change, "there is none"),
        ("Ben", change + Span::from_mins(1), "no such shift"),
    ] {
        let refused = take(shift, name, nurse).await;
        assert!(
            refused.as_ref().is_err_and(|of| of.contains(why)),
            "{name}: {refused:?}"
        );
    }
    let operator = Asker {
        name: "operator o",
        role: None,
    };
    let refused = admin.take_over("Home", Duty::Nurse, change, operator).await;
    assert!(refused.is_err(), "no certificate takes over a shift");
    let taken = take(change, "Ben", nurse).await.expect("taken over");
    assert_eq!(taken.next[0].taken_by, "Ben");
    let twice = take(change, "Sue", StaffRole::Supervisor).await;
    assert!(twice.is_err_and(|why| why.contains("Ben has taken it over")));

    // Of other teams nobody learns, and a start finds all of it.
    assert!(admin.rosters(asker("Cy", nurse)).is_empty());
    assert_eq!(admin.rosters(asker("Ann", nurse)).len(), 1);
    let rig = rig.restart(None).await;
    let again = rig.admin.rosters(asker("Sue", StaffRole::Supervisor));
    assert_eq!(
        again[0].next.first().map(|of| of.taken_by.as_str()),
        Some("Ben")
    );
    let cleared = rig
        .admin
        .set_roster("Home", "", "Sue")
        .await
        .expect("cleared");
    assert!(cleared.document.is_empty() && cleared.now.is_empty());
}

#[tokio::test]
async fn a_fleet_shows_what_needs_a_hand_and_who_did_what() {
    use proto::v1::{
        GatewayActKind, GatewayFinding, GatewayHealth, Hello, Need, gateway_to_centre,
    };
    let rig = Rig::new().await;
    let gateway = rig.gateway().await;
    let id = gateway.id.as_str();
    let fleet = || rig.admin.fleet("").expect("all");
    let needs = |fleet: &v1::Fleet| -> Vec<Need> { fleet.gateways[0].needs().collect() };
    assert_eq!(needs(&fleet()), [Need::Assignment, Need::Unheard]);
    let ann = rig.admin.add_patient("Ann", true).await.expect("added");
    let device = ["AA:BB:CC:DD:EE:01".to_owned()];
    let assigned = rig.admin.assign(&ann.patient, id, &device, BY).await;
    assigned.expect("assigned");
    let session = rig.ingest.sessions().open(
        gateway.id.clone(),
        crate::counters::Transport::Grpc,
        rig.ingest.parts().clock.now(),
    );
    let hello = Hello {
        agent_version: "1.2".into(),
        health: Some(GatewayHealth {
            findings: vec![GatewayFinding {
                check: "disk".into(),
                broken: true,
                ..GatewayFinding::default()
            }],
            ..GatewayHealth::default()
        }),
        ..Hello::default()
    };
    let message = v1::GatewayToCentre {
        kind: Some(gateway_to_centre::Kind::Hello(hello)),
    };
    rig.ingest.handle(&session, vec![message]).await;
    let shown = fleet();
    assert_eq!(needs(&shown), [Need::Broken]);
    let [of] = &shown.gateways[..] else {
        panic!("one gateway")
    };
    assert_eq!(of.agent_version, "1.2");
    assert!(of.heard_us > 0);
    let [thing] = &of.devices[..] else {
        panic!("one device")
    };
    assert_eq!(
        (&*thing.patient, &*thing.display_name, &*thing.address),
        (&*ann.patient, "Ann", &*device[0])
    );
    assert!(of.acts.is_empty(), "with one gateway alone");
    assert!(shown.load.is_some() && shown.hops.len() == 9);

    rig.admin
        .configure(id, "heartbeat_s = 60", BY)
        .await
        .expect("sent");
    rig.admin.revoke(id, "Adam").await.expect("revoked");
    let one = rig.admin.fleet(id).expect("this one");
    let [of] = &one.gateways[..] else {
        panic!("one gateway")
    };
    assert_eq!(of.settings, "heartbeat_s = 60");
    let acts: Vec<_> = of.acts.iter().map(|act| (act.kind(), &*act.by)).collect();
    assert_eq!(
        acts,
        [
            (GatewayActKind::Revoked, "Adam"),
            (GatewayActKind::Settings, BY),
            (GatewayActKind::Assigned, BY),
            (GatewayActKind::Token, BY),
        ]
    );
    assert!(of.acts.iter().all(|act| act.at_us > 0));
    assert_eq!(of.needs, [] as [i32; 0], "what was revoked needs nothing");
    assert!(matches!(
        rig.admin.fleet("g-nobody"),
        Err(AdminError::NotFound { .. })
    ));
    let number = |of: Need| i32::from(of);
    assert!(
        number(Need::Silent) < number(Need::Look),
        "most urgent first"
    );
}

#[tokio::test]
async fn a_team_keeps_filters_that_all_of_it_see_and_nobody_else() {
    use proto::v1::{StaffRole, TeamFilter};

    let rig = Rig::new().await;
    let admin = &rig.admin;
    let asker = |name: &'static str, role| Asker {
        name,
        role: Some(role),
    };
    let (ann, vic) = (
        asker("Ann", StaffRole::Nurse),
        asker("Vic", StaffRole::Viewer),
    );
    let (cy, sue) = (
        asker("Cy", StaffRole::Nurse),
        asker("Sue", StaffRole::Supervisor),
    );
    for (name, role) in [ann, vic, cy, sue].map(|of| (of.name, of.role)) {
        let added = admin.add_person(name, role.expect("a role"), "o").await;
        added.expect("added");
    }
    for (team, who) in [("Home", "Ann"), ("Home", "Vic"), ("North", "Cy")] {
        let _ = admin
            .change_team(team, Some(TeamChange::Make(true)), "o")
            .await;
        let joined = admin.change_team(team, Some(TeamChange::Join(who.into())), "o");
        joined.await.expect("joined");
    }
    let filter = |team: &str, name: &str, facets: &[&str]| TeamFilter {
        team: team.into(),
        name: name.into(),
        facets: facets.iter().map(|of| (*of).to_owned()).collect(),
        by: "somebody".into(),
    };
    let quiet = || filter("home", " quiet sensors ", &["data=stale", "owner=nobody"]);
    let kept = admin.keep_team_filter(quiet(), ann).await.expect("kept");
    assert_eq!(kept.teams, ["Home"]);
    let told = &kept.filters[0];
    assert_eq!(
        (told.team.as_str(), told.name.as_str(), told.by.as_str()),
        ("Home", "quiet sensors", "Ann")
    );
    assert_eq!(told.facets, ["data=stale", "owner=nobody"]);
    // All of the team see it and supervisors do; nobody else learns that there is one, and a viewer keeps none.
    assert_eq!(admin.team_filters(vic).filters, kept.filters);
    assert!(admin.team_filters(vic).teams.is_empty());
    assert_eq!(admin.team_filters(sue).filters, kept.filters);
    assert!(admin.team_filters(cy).filters.is_empty());
    let refused = admin.keep_team_filter(quiet(), cy).await;
    assert!(matches!(
        refused,
        Err(AdminError::NotFound { what: "team", .. })
    ));
    for (wrong, field) in [
        (filter("Home", "", &["data=stale"]), "filter.name"),
        (
            filter("Home", &"x".repeat(41), &["data=stale"]),
            "filter.name",
        ),
        (filter("Home", "y", &["name=Ada Berg"]), "filter.facets"),
        (filter("Home", "y", &["data=Ada"]), "filter.facets"),
        (
            filter("Home", "y", &["data=stale", "data=fresh"]),
            "filter.facets",
        ),
    ] {
        let refused = admin.keep_team_filter(wrong, ann).await;
        let fits = matches!(&refused, Err(AdminError::Invalid { field: of, .. }) if *of == field);
        assert!(fits, "{field}: {refused:?}");
    }
    let unknown = admin.keep_team_filter(filter("Home", "z", &[]), ann).await;
    assert!(matches!(
        unknown,
        Err(AdminError::NotFound { what: "filter", .. })
    ));
    for n in 1..24 {
        let one = filter("Home", &format!("f{n:02}"), &["alerts=open"]);
        admin.keep_team_filter(one, sue).await.expect("room");
    }
    let beyond = admin.keep_team_filter(filter("Home", "one more", &["alerts=open"]), ann);
    assert!(matches!(beyond.await, Err(AdminError::Conflict(_))));
    // One of its name is replaced, also there; a start finds all of it.
    let other = filter("Home", "quiet sensors", &["data=fresh"]);
    let replaced = admin.keep_team_filter(other, sue).await.expect("replaced");
    let rig = rig.restart(None).await;
    assert_eq!(rig.admin.team_filters(sue), replaced);
    let forgotten = rig
        .admin
        .keep_team_filter(filter("Home", "quiet sensors", &[]), ann);
    assert_eq!(forgotten.await.expect("forgotten").filters.len(), 23);
}
