# XEP-0045 17.4: a vCard is asked of the user's account, not of a session
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea
user account alice@wonderland.lit

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
hatter sends
  <iq type='get' id='{ask}' to='rabbithole@rooms.wonderland.lit/Alice'><vCard xmlns='vcard-temp'/></iq>
account receives
  <iq type='get' id='{passed}' from='rabbithole@rooms.wonderland.lit/Hatter'><vCard xmlns='vcard-temp'/></iq>

account sends
  <iq type='result' id='{passed}' to='rabbithole@rooms.wonderland.lit/Hatter'><vCard xmlns='vcard-temp'>
    <FN>Alice</FN></vCard></iq>
hatter receives
  <iq type='result' id='{ask}' from='rabbithole@rooms.wonderland.lit/Alice'><vCard xmlns='vcard-temp'>
    <FN>Alice</FN></vCard></iq>
