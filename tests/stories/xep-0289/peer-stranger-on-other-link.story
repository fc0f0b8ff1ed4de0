# XEP-0289 7 (fmuc.md 6.6): a node touches only occupants that are at home on it
site wonderland rooms.wonderland.lit
peer tower tower@rooms.verona.lit
user alice alice@wonderland.lit/rabbit
peer globe globe@rooms.venice.lit home=venice.lit,verona.lit

alice joins rabbithole@rooms.wonderland.lit as Alice
tower sends
  <presence from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit/Juliet'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/>
    <x xmlns='http://jabber.org/protocol/muc'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='juliet@verona.lit/balcony'/></x></presence>
swallow

globe sends
  <presence from='globe@rooms.venice.lit/Iago' to='rabbithole@rooms.wonderland.lit/Iago'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='iago@venice.lit/x'/><x xmlns='http://jabber.org/protocol/muc'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='iago@venice.lit/x'/></x></presence>
swallow

globe sends
  <presence type='unavailable' from='globe@rooms.venice.lit/Juliet' to='rabbithole@rooms.wonderland.lit/Juliet'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='none' jid='juliet@verona.lit/balcony'/></x></presence>
  <message type='groupchat' from='globe@rooms.venice.lit/Juliet' to='rabbithole@rooms.wonderland.lit' id='m1'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/><body>I am Juliet</body></message>
alice receives nothing
tower receives nothing
globe receives nothing
