import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { fleet } from "../src/convert.ts";
import { FleetSchema, GatewayActKind, Need } from "../src/gen/v1/fleet_pb.ts";
import { ConfigurationOutcome, ConfigurationReportSchema } from "../src/gen/v1/uplink_pb.ts";
import { GATEWAY_ACTS, NEEDS, OUTCOMES } from "../src/model.ts";

const size = (values: object) => Object.values(values).filter((value) => typeof value === "number").length;

test("every need, act and outcome of the contract has a word of its own", () => {
  assert.equal(NEEDS.length, size(Need));
  assert.equal(GATEWAY_ACTS.length, size(GatewayActKind));
  assert.equal(OUTCOMES.length, size(ConfigurationOutcome));
  assert.equal(NEEDS[Need.TOKEN_ENDED], "token-ended");
  assert.equal(GATEWAY_ACTS[GatewayActKind.REVOKED], "revoked");
});

test("a gateway says which settings run, and what it says of former ones says nothing of the last", () => {
  const of = (number: bigint, running?: bigint) => {
    const configuration = { number, outcome: ConfigurationOutcome.APPLIED, ...(running === undefined ? {} : { running }) };
    const [gateway] = fleet(create(FleetSchema, { gateways: [{ status: { gateway: "g-1", configurationNumber: 9n, configuration: create(ConfigurationReportSchema, configuration) }, needs: [2, 99 as Need] }] })).gateways;
    assert.ok(gateway);
    return gateway;
  };
  assert.deepEqual([of(9n, 9n).outcome, of(9n, 9n).running], ["applied", 9]);
  assert.deepEqual([of(7n, 7n).outcome, of(7n, 7n).running], ["none", 7]);
  assert.equal(of(9n).running, null, "an earlier agent does not say");
  assert.deepEqual(of(9n).needs, ["certificate", "something"], "a need of a newer centre is one, too");
});
