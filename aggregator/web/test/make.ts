// Whole objects from the few fields that a test is about.

import type { Alert, Channel, Forecast, Twin } from "../src/model.ts";

export function alert(from: Partial<Alert>): Alert {
  return {
    id: "a",
    patient: "p",
    condition: "c",
    priority: "medium",
    category: "physiological",
    state: "active",
    onset: null,
    raised: 0,
    acknowledged: null,
    acknowledgedBy: "",
    acknowledgeNote: "",
    resolved: null,
    summary: "",
    plainSummary: "",
    evidence: [],
    model: "",
    modelHash: "",
    expected: null,
    probability: null,
    subject: "",
    testData: false,
    position: 1n,
    retrospective: false,
    calls: [],
    nextCall: null,
    nextDuty: null,
    unanswered: null,
    snoozedUntil: null,
    partOf: "",
    owner: "",
    comments: [],
    withdrawn: null,
    ...from,
  };
}

export function twin(from: Partial<Twin>): Twin {
  return {
    patient: "p",
    position: 1n,
    known: 0,
    channels: [],
    scores: [],
    forecasts: [],
    alerts: [],
    devices: [],
    gateways: [],
    testData: false,
    stateHash: "",
    rhythm: null,
    tallies: [],
    snoozes: [],
    influences: [],
    models: [],
    ...from,
  };
}

export function channel(from: Partial<Channel>): Channel {
  return {
    kind: 1,
    value: 1,
    absence: 0,
    effective: 0,
    received: 0,
    source: 1,
    quality: 0,
    baseline: null,
    band: null,
    count: 1,
    stale: false,
    freshFor: 0,
    disagreement: null,
    ...from,
  };
}

export function forecast(from: Partial<Forecast>): Forecast {
  return {
    kind: 5,
    made: 0,
    points: [],
    abstained: "",
    unfit: [],
    model: "",
    coverageNominal: 0.9,
    coverageObserved: null,
    scored: 0,
    crosses: null,
    threshold: null,
    error: null,
    persistenceError: null,
    ...from,
  };
}
